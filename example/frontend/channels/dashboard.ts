// Made by "manage.py makefrontend" from Python code: what is changed here gets lost.

import * as collab from "django-collab/live";

/** Of `dashboard.consumers.DashboardConsumer`. */
export class DashboardChannel extends collab.LiveChannel<DashboardRuntimeState> {
  constructor(options: collab.ChannelOptions = {}) {
    super(collab.path`/ws/live/dashboard`, options);
  }

  /** Have no notifications any more. */
  markRead(): Promise<void> {
    return this.call("mark_read", {});
  }

  /** Read the thermometer now. */
  measure(): Promise<Reading> {
    return this.call("measure", {});
  }
}

export interface DashboardRuntimeState {
  unread: number;
  latest: string | null;
}

export interface Reading {
  at: string;
  value: number;
}
