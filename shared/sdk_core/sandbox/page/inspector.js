"use strict";

// Everything that is shown is set as text, never as markup: it came from whoever calls the sandbox.

const element = (id) => document.getElementById(id);

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Show items in a container; what is shown already and has not changed stays, with its focus and what is open. */
function sync(container, items, key, render, nothing) {
  const shown = new Map([...container.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const name = String(key(item));
    const text = JSON.stringify(item);
    const old = shown.get(name);
    if (old && old.dataset.text === text) return old;
    const fresh = render(item);
    fresh.dataset.key = name;
    fresh.dataset.text = text;
    if (old && old.open) fresh.open = true;
    if (old && old.contains(document.activeElement)) queueMicrotask(() => fresh.querySelector("summary, button")?.focus());
    return fresh;
  });
  if (!wanted.length) {
    const old = shown.get("nothing");
    const fresh = old || make("p", "none", nothing);
    fresh.dataset.key = "nothing";
    wanted.push(fresh);
  }
  const kept = new Set(wanted);
  for (const child of [...container.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (container.children[index] !== child) container.insertBefore(child, container.children[index] || null);
  });
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const clockOf = (at) => (at ? at.slice(11, 19) : "");

function part(title, value) {
  return [make("h3", "", title), make("pre", "", value === null ? "(nothing)" : pretty(value))];
}

function folded(summary, ...content) {
  const details = make("details", "", make("summary", "", ...summary), ...content);
  return details;
}

// The parts of the page, each by the name of its event

function showAbout(about) {
  element("name").textContent = about.name;
  document.title = about.name;
  const select = document.forms.fault.elements.operation;
  const chosen = select.value;
  select.replaceChildren(new Option("any", ""), ...about.operations.map((name) => new Option(name, name)));
  select.value = chosen;
}

function showClock(clock) {
  element("now").dateTime = clock.now;
  element("now").textContent = `${clock.now.slice(0, 10)} ${clock.now.slice(11, 19)} UTC`;
}

function showFaults(faults) {
  element("faults-count").textContent = faults.length ? `(${faults.length})` : "";
  element("clear").hidden = !faults.length;
  sync(element("faults"), faults, (fault) => fault.number, renderFault, "None is queued.");
}

function renderFault(fault) {
  const { number, kind, operation, ids, predicate, times, used, ...details } = fault;
  const parts = Object.entries(details).filter(([name]) => name !== "message").map(([name, value]) => (name === kind ? "" : `${name} `) + pretty(value));
  const scope = [operation || "any operation", ...Object.entries(ids).map(([name, value]) => `${name}=${value}`)];
  if (predicate) scope.push("and a predicate");
  const left = times === null ? `until cleared; met ${used} times` : `${times - used} of ${times} left`;
  const remove = make("button", "", "Remove");
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove fault ${number}`);
  remove.addEventListener("click", () => send("DELETE", `faults/${number}`));
  return make(
    "li",
    "",
    make("div", "", make("span", "tag", `${kind} `), parts.join(", "), make("div", "quiet", `${scope.join(" ")}, ${left}`)),
    remove,
  );
}

function showRequests(log) {
  element("requests-count").textContent = counted(log);
  sync(element("requests"), log.newest.reverse(), (request) => request.number, renderRequest, "None was received yet.");
}

function renderRequest(request) {
  const status = request.answer ? request.answer.status : null;
  const result = make("span", `tag ${status !== null && status < 400 ? "good" : "bad"}`, status === null ? "no answer" : String(status));
  const summary = [
    make("span", "number", `#${request.number}`),
    make("span", "tag", request.method),
    make("span", "path", request.path),
    result,
  ];
  if (request.fault) summary.push(make("span", "bad", `fault: ${request.fault}`));
  summary.push(make("span", "clock", clockOf(request.at)));
  const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  return folded(
    summary,
    make(
      "div",
      "",
      ...part("Operation", request.operation || "none of this API"),
      ...part("Headers", headers),
      ...part("Body", request.body),
      ...part("Answer", request.answer ? request.answer.body : "none: it is under way, or the connection was dropped"),
    ),
  );
}

function showLedger(ledger) {
  element("ledger-count").textContent = counted(ledger);
  sync(element("ledger"), ledger.newest.reverse(), (entry) => entry.number, renderEntry, "Nothing was changed yet.");
}

function renderEntry(entry) {
  return folded(
    [
      make("span", "number", `#${entry.number}`),
      make("span", "path", entry.operation),
      make("span", "clock", clockOf(entry.at)),
    ],
    make("pre", "", pretty(entry.arguments)),
  );
}

const counted = ({ total, newest }) => (total > newest.length ? `(${total}; the newest ${newest.length} are shown)` : `(${total})`);

function showState(state) {
  const shown = new Map([...element("state").children].map((child) => [child.dataset.key, child]));
  for (const [name, { setting, total, newest }] of Object.entries(state)) {
    const kind = shown.get(name) || element("state").appendChild(folded([make("span", "tag"), make("span", "quiet")], make("div")));
    kind.dataset.key = name;
    const [title, count] = kind.firstChild.children;
    title.textContent = name;
    count.textContent = newest ? counted({ total, newest }) : isPlain(setting) ? String(setting) : "";
    const items = (newest || [setting]).map((item, index) => ({ index, item }));
    sync(kind.lastChild, items, ({ index }) => index, newest ? renderItem : renderSetting, "There is none.");
  }
}

const renderSetting = ({ item }) => make("pre", "", pretty(item));
const renderItem = ({ item }) => folded([make("span", "", labelOf(item))], renderSetting({ item }));

const isPlain = (value) => value === null || typeof value !== "object";

const uuid = /^[0-9a-f]{8}-[0-9a-f-]{27}$/i;

/** The first few values of an item; of several UUIDs only its own, the others tell a reader nothing. */
function labelOf(item) {
  const values = Object.entries(item).map(([name, value]) => [name, isPlain(value) ? value : value.name]);
  const telling = values.filter(([name, value]) => isPlain(value) && value !== undefined && (name === "id" || !uuid.test(value)));
  return telling.slice(0, 5).map(([name, value]) => `${name} ${value}`).join(" · ");
}

// What is asked for

async function send(method, path, body) {
  const problem = element("problem");
  try {
    const response = await fetch(path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
    problem.textContent = response.ok ? "" : (await response.json()).error;
    return response.ok;
  } catch {
    problem.textContent = "The sandbox does not answer.";
    return false;
  }
}

function valueOf(input) {
  const text = input.value.trim();
  if (input.type === "checkbox") return input.checked;
  if (text === "") return null;
  if (input.dataset.json !== undefined) return JSON.parse(text);
  return input.type === "number" || (input.name === "retryAfter" && /^\d+(\.\d+)?$/.test(text)) ? Number(text) : text;
}

function readFault(form) {
  const kind = form.elements.kind.value;
  const fault = { kind };
  for (const input of form.querySelectorAll(`[data-kind="${kind}"] [name]`)) {
    const value = valueOf(input);
    if (value !== null) fault[input.name] = value;
  }
  if (form.elements.operation.value) fault.operation = form.elements.operation.value;
  fault.times = valueOf(form.elements.times);
  const ids = form.elements.ids.value.trim();
  if (ids) {
    const [name, value] = ids.split("=").map((text) => text.trim());
    fault.ids = { [name]: /^\d+$/.test(value || "") ? Number(value) : value };
  }
  return fault;
}

function showKind() {
  for (const fields of document.querySelectorAll("fieldset[data-kind]")) {
    fields.hidden = fields.dataset.kind !== document.forms.fault.elements.kind.value;
    // What is not shown is not checked either.
    fields.disabled = fields.hidden;
  }
}

document.forms.fault.elements.kind.addEventListener("change", showKind);
document.forms.fault.addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    send("POST", "faults", readFault(event.target));
  } catch {
    element("problem").textContent = "The fault's own body is no JSON.";
  }
});
for (const button of document.querySelectorAll("[data-advance]")) {
  button.addEventListener("click", () => send("POST", "clock", JSON.parse(button.dataset.advance)));
}
element("clear").addEventListener("click", () => send("DELETE", "faults"));
element("reset").addEventListener("click", () => {
  element("sure").returnValue = "";
  element("sure").showModal();
});
element("sure").addEventListener("close", () => {
  if (element("sure").returnValue === "reset") send("POST", "reset");
});
showKind();

const events = new EventSource("events");
events.addEventListener("open", () => {
  element("live").textContent = "live";
  element("live").classList.add("on");
});
events.addEventListener("error", () => {
  element("live").textContent = "connection lost";
  element("live").classList.remove("on");
});
const parts = { about: showAbout, clock: showClock, faults: showFaults, requests: showRequests, ledger: showLedger, state: showState };
for (const [name, show] of Object.entries(parts)) {
  events.addEventListener(name, (event) => show(JSON.parse(event.data)));
}
