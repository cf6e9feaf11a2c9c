/** The dashboard: readings, notifications, and a list of objects to subscribe to. */
import { watchList } from "django-collab/live";

import { TaskModel } from "./channels/boards.js";
import { DashboardChannel, type Reading } from "./channels/dashboard.js";
import { setUpCopy } from "./copy.js";
import { drawChart } from "./dashboard/chart.js";
import { showConnection } from "./live.js";

const channel = new DashboardChannel();
const find = (id: string): HTMLElement => document.getElementById(id)!;

showConnection(find("status"), channel);

// Readings: kept ones first, in order.
const SHOWN = 60;
let readings: Reading[] = [];
channel.on<Reading>("reading", (reading) => {
  readings = [...readings, reading].slice(-SHOWN);
  find("value").textContent = `${reading.value.toFixed(1)} °C`;
  drawChart(find("chart"), readings);
});

const command = find("command");
setUpCopy(
  find("copy"),
  () => command.textContent!,
  () => getSelection()?.selectAllChildren(command),
);

find("measure").addEventListener("click", () => {
  channel.measure().catch((error: unknown) => {
    find("latest").textContent = String(error);
  });
});

// Notifications: variables of this connection.
channel.observe(() => {
  const { unread = 0, latest } = channel.runtimeState;
  find("unread").textContent = String(unread);
  find("unread").hidden = find("read").hidden = unread === 0;
  find("latest").textContent = latest ?? "Nothing new.";
});
find("read").addEventListener("click", () => void channel.markRead());

// Objects: the list is a subscription, too.
watchList(channel, TaskModel, {}, (tasks) => {
  find("objects").replaceChildren(
    ...[...tasks].map(([id, task]) => {
      const link = document.createElement("a");
      link.href = `/objects/${TaskModel.label}/${id}/`;
      link.textContent = task.title;
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
});
