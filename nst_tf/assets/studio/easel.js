// The picture: as it comes, and when it is there.

import * as api from "./api.js";
import * as choose from "./choose.js";
import { find, make, say, seconds } from "./make.js";

let shown = null; // the order that is looked at
let other = null; // one that it is compared with

export const current = () => shown?.id;

function trouble(error) {
  find("#trouble").textContent = error.message;
}

const button = (text, act) => make("button", { type: "button", text, onclick: () => Promise.resolve(act()).catch(trouble) });

function curve(losses) {
  const points = losses.slice(1).map((loss, index) => [index, Math.log(Math.max(loss, 1e-12))]);
  const [low, high] = [Math.min(...points.map((one) => one[1])), Math.max(...points.map((one) => one[1]))];
  const line = points.map(([x, y]) => `${(100 * x) / Math.max(1, points.length - 1)},${38 - (36 * (y - low)) / Math.max(1e-9, high - low)}`);
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "curve");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "the loss so far, on a logarithmic scale");
  const polyline = document.createElementNS(space, "polyline");
  polyline.setAttribute("points", line.join(" "));
  svg.append(polyline);
  return svg;
}

function slider(order, under, label) {
  const cut = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": `${label} to the left, the result to the right` });
  const pair = make("div", { class: "pair" },
    make("img", { src: api.result(order.id, "png", order.iterations), alt: "the result", width: order.width, height: order.height }),
    make("img", { class: "before", src: under, alt: label }),
    make("div", { class: "line" }));
  const box = make("div", { class: "slider" }, pair);
  pair.style.setProperty("--w", `${order.width}px`);
  const set = () => pair.style.setProperty("--cut", `${cut.value}%`);
  cut.addEventListener("input", set);
  set();
  const whole = button("1:1", () => {
    box.classList.toggle("whole");
    whole.setAttribute("aria-pressed", box.classList.contains("whole"));
  });
  whole.setAttribute("aria-pressed", "false");
  return [box, make("div", { class: "row" }, cut, whole)];
}

function progress(order) {
  const parts = [];
  if (order.state === "queued") {
    parts.push(make("p", { text: order.place > 1 ? `waits: number ${order.place} in the queue` : "waits for the painter" }), button("Take it back", () => api.stop(order.id)));
  } else if (order.state === "painting") {
    const share = order.share ?? 0;
    const left = share > 0.03 ? `, about ${seconds((order.seconds * (1 - share)) / share)} left` : "";
    const words = order.iteration == null ? "begins…"
      : `iteration ${order.iteration}, loss ${order.loss.toPrecision(4)}, ${seconds(order.seconds)}${left}`;
    parts.push(make("progress", { max: 1, value: share, "aria-label": "painted" }), make("p", { id: "counts", text: words }));
    if (order.losses?.length > 2) parts.push(curve(order.losses));
    parts.push(button("Stop and keep", () => api.stop(order.id)));
  }
  if (order.note) parts.push(make("p", { text: order.note, role: "status" }));
  return parts;
}

function keep(order) {
  if (["queued", "painting"].includes(order.state)) return [];
  const parts = [];
  const there = order.width != null;
  const names = `${order.names.content} in ${order.names.styles.join(" + ")}`;
  if (there) {
    const stem = order.names.content.replace(/\.\w+$/, "");
    const load = (text, ending) =>
      make("a", { class: "button", href: api.result(order.id, ending), download: `${stem}-${order.id.slice(0, 6)}.${ending}`, text });
    parts.push(make("p", { text: `${names}: ${order.width} × ${order.height}, ${order.iterations} iterations in ${seconds(order.seconds)}, loss ${order.loss.toPrecision(4)}` }),
      make("div", { class: "row" }, ...[load("PNG", "png"), load("PNG, 16 bits", "16.png"), load("JSON", "json"),
      order.cells.film && order.state === "done" ? load("Film", "mp4") : null].filter(Boolean)));
  } else parts.push(make("p", { text: names }));
  const acts = [button("Again with these settings", () => { choose.take(order); find("#order").scrollIntoView(); })];
  if (order.state !== "done") acts.push(button("Go on", () => api.goOn(order.id)));
  else acts.push(button("Go on with more", async () => {
    const next = await api.order({ content: order.content, styles: order.styles, masks: order.masks, cells: { ...order.cells, more: order.id } });
    show(next);
  }));
  if (there) {
    const use = (text, shelf) => button(text, async () => {
      const data = await (await fetch(api.result(order.id, "png"))).blob();
      choose.add(await api.give(new File([data], `${order.names.content.replace(/\.\w+$/, "")}-painted.png`)), shelf);
    });
    acts.push(use("Use as photo", "contents"), use("Use as painting", "styles"),
      button(other === order ? "Compare: choose another" : "Compare with another", () => { other = order; show(order); }));
  }
  acts.push(button("Throw away", async () => { if (confirm("Throw this result away?")) await api.forget(order.id); }));
  parts.push(make("div", { class: "row" }, ...acts),
    make("details", {}, make("summary", { text: "As a command" }), make("pre", { text: choose.command(order.names, order.cells, order.styles, order.masks) })));
  return parts;
}

export function show(order) {
  const fresh = shown?.id !== order?.id || shown?.state !== order?.state;
  shown = order;
  if (!order) {
    find("#picture").replaceChildren(make("p", { class: "faint", text: "Choose a photo and a painting." }));
    find("#progress").replaceChildren();
    find("#keep").replaceChildren();
    return;
  }
  const open = document.activeElement?.textContent; // whoever is on a button stays there
  find("#progress").replaceChildren(...progress(order));
  if (order.state === "painting" && open) {
    [...find("#progress").querySelectorAll("button")].find((one) => one.textContent === open)?.focus();
  }
  if (!fresh && other !== order) return;
  if (order.width != null && order.state !== "painting") {
    const compared = other && other.id !== order.id && other.width != null;
    find("#picture").replaceChildren(...slider(order, compared ? api.result(other.id, "png") : api.picture(order.content), compared ? "the other result" : "the photo"));
    if (compared) other = null;
  } else {
    find("#picture").replaceChildren(make("img", { id: "preview", src: api.small(order.content), alt: "the picture as it comes" }));
  }
  find("#keep").replaceChildren(...keep(order));
}

// A step of the order that is looked at; the picture where there is a new one.
export function step(order, number) {
  shown = order;
  find("#progress").replaceChildren(...progress(order));
  const image = find("#preview");
  if (number && image) {
    const next = new Image();
    next.onload = () => { if (image.isConnected) { image.src = next.src; image.dataset.number = number; } };
    next.src = api.preview(order.id, number);
  }
  if (order.iteration % 20 === 0) say(`${Math.round(100 * order.share)} percent painted`);
}
