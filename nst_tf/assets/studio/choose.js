// The form: which photo, which paintings, and how.

import * as api from "./api.js";
import * as brush from "./brush.js";
import { find, make, seconds } from "./make.js";

const KINDS = { contents: "radio", styles: "checkbox" };
const PROTECT = "protect";
let known = { pictures: new Map(), fields: [] };
let masks = {}; // by the painting's ID, or PROTECT

function tile(shelf, picture, chosen) {
  const input = make("input", {
    type: KINDS[shelf], name: shelf, value: picture.id, "aria-label": picture.name, checked: chosen,
    onchange: changed,
  });
  return make("label", { class: "tile", title: picture.name },
    make("img", { src: api.small(picture.id), alt: "", loading: "lazy" }), input);
}

export function selected(shelf) {
  return [...document.querySelectorAll(`#${shelf} input[name=${shelf}]:checked`)].map((one) => one.value);
}

export function add(picture, shelf = null) {
  const fresh = !known.pictures.has(picture.id);
  known.pictures.set(picture.id, picture);
  for (const name of Object.keys(KINDS)) {
    const tiles = find(`#${name} .tiles`);
    const there = tiles.querySelector(`input[value="${picture.id}"]`);
    if (there) { if (name === shelf) { there.checked = true; } continue; }
    if (fresh) tiles.prepend(tile(name, picture, name === shelf));
  }
  changed();
}

async function give(files, shelf) {
  find("#trouble").textContent = "";
  for (const file of files) {
    try {
      add(await api.give(file), shelf);
    } catch (error) {
      find("#trouble").textContent = `${file.name || "the picture"}: ${error.message}`;
    }
  }
}

// The settings that differ from what the page begins with, as words by the names of flags.
export function cells() {
  const told = {};
  for (const input of find("#controls").querySelectorAll("[name]")) {
    if (input.type === "checkbox") { if (input.checked) told[input.name] = "true"; continue; }
    if (input.value !== "" && (input.value !== input.dataset.plain || input.name === "size")) {
      told[input.name] = input.value;
    }
  }
  const shares = [...find("#shares").querySelectorAll("input")].map((one) => one.value || "1");
  if (shares.length > 1) told.style_blend = shares.join(",");
  return told;
}

export function wanted() {
  const styles = selected("styles");
  const of = Object.fromEntries(Object.entries(masks).filter(([id, mask]) => mask && (id === PROTECT || styles.includes(id))));
  return { content: selected("contents")[0], styles, cells: cells(), masks: of };
}

function maskButtons(photo, styles) {
  const name = (id) => known.pictures.get(id)?.name ?? id;
  const of = (id, title) => make("div", { class: "row" },
    make("button", {
      type: "button", text: `${masks[id] ? "Change" : "Paint"} ${title}`,
      onclick: async () => {
        const mask = await brush.paint(known.pictures.get(photo), title, masks[id]);
        if (mask !== undefined) { masks[id] = mask; changed(); }
      },
    }),
    masks[id] ? make("a", { class: "button", href: api.picture(masks[id]), download: `mask-${masks[id].slice(0, 6)}.png`, text: "its mask" }) : null);
  find("#masks").replaceChildren(...(photo && styles.length ? [
    make("details", { open: find("#masks details")?.open ?? false }, make("summary", { text: "Only in some places" }),
      ...styles.map((id) => of(id, `where ${name(id)} goes`)), of(PROTECT, "what stays photo")),
  ] : []));
}

// The same as a command, for whoever wants to go on there.
export function command(names, told, styles = [], of = {}) {
  const quoted = (word) => (/^[\w./=,:+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const flags = Object.entries(told).filter(([name]) => name !== "more").map(([name, value]) => {
    if (name === "begin") return quoted(`--init=stylizer:${value}`);
    if (name === "film") return "--film=out.mp4";
    return quoted(`--${name === "network" ? "weights" : name}=${value}`);
  });
  const painted = names.styles.map((name, index) => quoted(of[styles[index]] ? `${name}:mask-${of[styles[index]].slice(0, 6)}.png` : name));
  if (of[PROTECT]) flags.push(`--protect=mask-${of[PROTECT].slice(0, 6)}.png`);
  return ["nst-tf stylize", quoted(names.content), ...painted, "-o out.png", ...flags].join(" ");
}

let asked = 0;
export async function changed() {
  for (const input of document.querySelectorAll("#controls input[type=range]")) {
    input.parentElement.querySelector("output").textContent = input.value;
  }
  const styles = selected("styles");
  const there = [...find("#shares").querySelectorAll("input")];
  const shared = styles.length > 1 ? styles : [];
  if (there.map((one) => one.dataset.of).join() !== shared.join()) {
    const before = Object.fromEntries(there.map((one) => [one.dataset.of, one.value]));
    find("#shares").replaceChildren(...shared.map((id) =>
      make("label", { text: `Share of ${known.pictures.get(id)?.name ?? id} ` },
        make("input", { type: "number", min: 0, step: "any", value: before[id] ?? 1, "data-of": id, onchange: changed }))));
  }
  maskButtons(selected("contents")[0], styles);
  const order = wanted(), turn = ++asked;
  find("#paint").disabled = !(order.content && order.styles.length);
  // The old words stay until the new ones are there: a page that shrinks moves what one clicks on.
  if (find("#paint").disabled) return;
  try {
    const told = await api.estimate(order);
    if (turn !== asked) return;
    const time = told.seconds == null ? "the first picture tells how long it takes here" : `about ${seconds(told.seconds)}`;
    find("#estimate").textContent = `${told.width} × ${told.height} pixels; ${time}; about ${(told.memory / 2 ** 30).toFixed(1)} GiB of memory`;
    find("#trouble").textContent = "";
  } catch (error) {
    if (turn === asked) find("#trouble").textContent = error.message;
  }
}

// Sets the form as an order had it.
export function take(order) {
  for (const [shelf, ids] of [["contents", [order.content]], ["styles", order.styles]]) {
    for (const input of document.querySelectorAll(`#${shelf} input[name=${shelf}]`)) {
      input.checked = ids.includes(input.value);
    }
  }
  for (const input of find("#controls").querySelectorAll("[name]")) {
    if (input.type === "checkbox") input.checked = order.cells[input.name] === "true";
    else input.value = order.cells[input.name] ?? input.dataset.plain;
  }
  masks = { ...order.masks };
  changed();
  const shares = (order.cells.style_blend ?? "").split(",");
  find("#shares").querySelectorAll("input").forEach((one, index) => { one.value = shares[index] ?? 1; });
}

function options(select, choices, plain) {
  select.replaceChildren(...choices.map((choice) => make("option", { value: choice, text: choice })));
  select.value = plain;
}

export function fill(state) {
  if (known.fields.length) return;
  known.fields = state.fields;
  const field = (name) => state.fields.find((one) => one.name === name);
  options(find("[name=preset]"), state.presets, state.preset);
  options(find("[name=network]"), state.networks, state.networks[0]);
  const begin = find("[name=begin]");
  begin.replaceChildren(make("option", { value: "", text: "what the recipe begins with" }),
    ...state.begins.map((one) => make("option", { value: one, text: one })));
  find("#begin").hidden = !state.begins.length;
  const colours = find("[name=colours]");
  options(colours, ["", ...field("colours").choices], "");
  colours.options[0].textContent = "as the recipe has it";
  const shown = new Set([...find("#controls").querySelectorAll("[name]")].map((one) => one.name));
  find("#fields").replaceChildren(...state.fields.filter((one) => !shown.has(one.name) && one.name !== "style_blend").map((one) => {
    const input = one.choices.length
      ? make("select", { name: one.name }, make("option", { value: "", text: "as the recipe has it" }),
        ...one.choices.map((choice) => make("option", { value: choice, text: choice })))
      : make("input", { type: "text", name: one.name, placeholder: "as the recipe has it", autocomplete: "off" });
    return make("label", { title: one.help, text: `${one.name.replaceAll("_", " ")} ` }, input);
  }));
  for (const input of find("#controls").querySelectorAll("[name]")) {
    input.dataset.plain = input.value;
    input.addEventListener("change", changed);
    input.addEventListener("input", changed);
  }
  for (const shelf of Object.keys(KINDS)) {
    const set = find(`#${shelf}`);
    set.querySelector("input[type=file]").addEventListener("change", (event) => {
      give([...event.target.files], shelf);
      event.target.value = "";
    });
    set.addEventListener("dragover", (event) => { event.preventDefault(); set.classList.add("over"); });
    set.addEventListener("dragleave", () => set.classList.remove("over"));
    set.addEventListener("drop", (event) => {
      event.preventDefault();
      set.classList.remove("over");
      give([...event.dataTransfer.files], shelf);
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) give(files, selected("contents").length ? "styles" : "contents");
  });
}
