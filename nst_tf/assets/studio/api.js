// What the page asks the studio for. All addresses are relative: the token is in the page's own.

async function answered(response) {
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error || `the studio says ${response.status}`);
  return told;
}

export const state = async () => answered(await fetch("api/state"));

export const give = async (file, mask = false) =>
  answered(await fetch(`api/pictures?name=${encodeURIComponent(file.name || "pasted.png")}${mask ? "&mask" : ""}`,
    { method: "POST", body: file }));

const post = async (path, words) =>
  answered(await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(words ?? {}),
  }));

export const order = (wanted) => post("api/orders", wanted);
export const estimate = (wanted) => post("api/estimate", wanted);
export const stop = (id) => post(`api/orders/${id}/stop`);
export const goOn = (id) => post(`api/orders/${id}/go-on`);
export const forget = (id) => post(`api/orders/${id}/forget`);

export const small = (id) => `api/pictures/${id}?small`;
export const picture = (id) => `api/pictures/${id}`;
export const result = (id, ending, version = "") => `api/results/${id}.${ending}${version && `?${version}`}`;
export const preview = (id, number) => `api/orders/${id}/preview?${number}`;

// Calls `heard` with everything that happens from now on, and `anew` where some of it was missed.
export function listen(heard, anew) {
  const source = new EventSource("api/events");
  source.onopen = anew;
  source.onmessage = (event) => heard(JSON.parse(event.data));
}
