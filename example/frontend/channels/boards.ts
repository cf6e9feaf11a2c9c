// Made by "manage.py makefrontend" from Python code: what is changed here gets lost.

import * as collab from "django-collab/live";
import type * as pages from "./pages.js";

/** Rows of `boards.Board` that may be watched. */
export const BoardModel: collab.Model<WatchedBoard, Record<string, never>> = { label: "boards.Board" };

export interface Task {
  title: string;
  description: string;
  state: "todo" | "doing" | "done";
  position: number;
  author: pages.Person | null;
}

export interface TaskFilter {
  state?: "todo" | "doing" | "done";
  board?: string;
}

/** Rows of `boards.Task` that may be watched. */
export const TaskModel: collab.Model<Task, TaskFilter> = { label: "boards.Task" };

export interface WatchedBoard {
  slug: string;
  title: string;
  owner: number;
  created_at: string;
}
