/** The chart: a line through the readings. */
import type { Reading } from "../channels/dashboard.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, MARGIN] = [600, 160, 12];

export function drawChart(chart: Element, readings: readonly Reading[]): void {
  const values = readings.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const spread = Math.max(high - low, 1);
  const step = WIDTH / Math.max(values.length - 1, 1);
  const points = values.map((value, index) => {
    const y = HEIGHT - MARGIN - ((value - low) / spread) * (HEIGHT - 2 * MARGIN);
    return `${(index * step).toFixed(1)},${y.toFixed(1)}`;
  });
  const line = chart.querySelector("polyline") ?? chart.appendChild(newLine());
  line.setAttribute("points", points.join(" "));
}

function newLine(): Element {
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("vector-effect", "non-scaling-stroke");
  return line;
}
