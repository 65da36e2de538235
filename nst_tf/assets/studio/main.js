// The studio's page: the form, the easel, the gallery, and what the studio tells them.

import * as api from "./api.js";
import * as choose from "./choose.js";
import * as easel from "./easel.js";
import { find, make, say } from "./make.js";

const orders = new Map();

function gallery() {
  const sorted = [...orders.values()].sort((one, another) => another.time - one.time);
  find("#gallery .tiles").replaceChildren(...sorted.map((order) => {
    const there = order.width != null && !["queued", "painting"].includes(order.state);
    const source = there ? api.result(order.id, "jpg", order.iterations) : api.small(order.content);
    const name = `${order.names.content} in ${order.names.styles.join(" + ")}`;
    return make("li", {}, make("button", {
      class: "tile", type: "button", title: name, "aria-label": `${name}, ${order.state}`,
      "aria-current": order.id === easel.current(), onclick: () => { easel.show(order); gallery(); },
    }, make("img", { src: source, alt: "", loading: "lazy" }), order.state === "done" ? null : make("span", { text: order.state })));
  }));
}

function engine(words) {
  find("#engine").textContent = words ? `the painter is ready: ${words}` : "the painter is coming…";
}

function changed(order) {
  const before = orders.get(order.id);
  orders.set(order.id, order);
  if (easel.current() === order.id) easel.show(order);
  if (before?.state !== order.state) {
    const name = order.names.content;
    if (order.state === "done") choose.changed(); // how long one takes is known better now
    say({ queued: `${name} waits`, painting: `painting ${name}`, done: `${name} is painted`, stopped: `${name} is kept as it is`, failed: `${name} failed: ${order.note}` }[order.state]);
  }
  gallery();
}

const heard = {
  ready: (told) => engine(told.engine),
  lost: () => engine(""),
  order: (told) => changed(told.order),
  picture: (told) => choose.add(told.picture),
  forgotten: (told) => {
    orders.delete(told.id);
    if (easel.current() === told.id) easel.show(null);
    gallery();
  },
  step: (told) => {
    const order = orders.get(told.id);
    if (!order) return;
    const { iteration, share, seconds, loss } = told;
    Object.assign(order, { iteration, share, seconds, loss });
    (order.losses ??= []).push(loss);
    if (easel.current() === order.id) easel.step(order, told.preview);
  },
};

async function readAll() {
  const state = await api.state();
  orders.clear();
  for (const order of state.orders) orders.set(order.id, order);
  engine(state.engine);
  choose.fill(state);
  for (const picture of [...state.samples, ...state.pictures.toReversed()]) choose.add(picture);
  const looked = orders.get(easel.current()) ?? state.orders.find((one) => one.state === "painting") ?? state.orders[0];
  if (looked) easel.show(looked);
  gallery();
}

find("#order").addEventListener("submit", async (event) => {
  event.preventDefault();
  find("#trouble").textContent = "";
  try {
    const order = await api.order(choose.wanted());
    orders.set(order.id, orders.get(order.id) ?? order);
    easel.show(orders.get(order.id));
    gallery();
    find("#easel").scrollIntoView({ block: "nearest" });
  } catch (error) {
    find("#trouble").textContent = error.message;
  }
});

api.listen((told) => heard[told.event]?.(told), readAll);
await readAll();
