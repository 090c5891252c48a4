// The page: what the node tells over the WebSocket is shown; what the person does is told to the node.
import { Microphone, Voice } from "/static/sound.js";

const STATUS = {
  connecting: "Connecting", lost: "Connection lost, trying again", asleep: "The robot is not answering",
  waking: "Waking up", ready: "Ready", listening: "Listening", thinking: "Thinking", speaking: "Speaking",
};
const MEMORY = {
  off: "The robot keeps nothing of you. If you switch this on, it keeps what you tell it of your life, locked on its "
    + "machine, and knows it next time. Whoever asks it here can hear that, and those who run the machine could open it. "
    + "What you tell in a crisis is never kept.",
  on: "The robot keeps what you tell it of your life, locked on its machine. Whoever asks it here can hear that, and "
    + "those who run the machine could open it. What you tell in a crisis is never kept.",
  stopped: "The robot adds nothing. What it kept before lies unused, until you have it forgotten.",
  unreachable: "The robot cannot get at its memory now.",
};
const RECONNECT_MS = 1000;
const LONG_CAPTION = 90; // characters; longer ones are set smaller
const $ = (id) => document.getElementById(id);
const voice = new Voice();
const microphone = new Microphone();
const turns = new Map(); // key to the newest state of each turn, in order
const shown = new Map(); // key to its elements in the log
let socket = null;
export let robot = null;
let talking = false;
let wordTimers = [];
let soundOffered = false;

function tell(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? receive(JSON.parse(data)) : voice.play(data));
  socket.onclose = () => {
    showStatus("lost");
    if (talking) switchMicrophone(false);
    setTimeout(connect, RECONNECT_MS);
  };
}

function receive(message) {
  const [[name, value]] = Object.entries(message);
  ({
    hello: welcome, status: showStatus, turn: showTurn, partial: showPartial, words: showWords,
    pose: (positions) => robot?.pose(positions), memory: showMemory, forgotten: (keys) => keys.forEach(forgetTurn),
    memory_failed: () => notice("The robot's memory did not do that. Try again, or ask those who run the robot."),
    hold: (held) => voice.hold(held),
    silence: (turn) => { voice.silence(turn); stopWords(); },
    microphone: (answer) => {
      if (answer !== "taken") return;
      switchMicrophone(false);
      notice("Another page is talking with the robot. Try again when it has finished.");
    },
  })[name]?.(value);
}

function welcome({ robot: name, help, microphone: offered, own_sound: ownSound, turns: known, partial, status, memory }) {
  document.title = `Talk with ${name}`;
  document.querySelector("h1").textContent = document.title;
  showHelp(help);
  $("talk").hidden = !(offered && navigator.mediaDevices);
  if (offered && !navigator.mediaDevices) notice("To talk here, open the page over https, or on the robot itself.");
  soundOffered ||= ownSound && !voice.on;
  tell({ hears: voice.on });
  turns.clear();
  shown.forEach((elements) => elements.entry.remove());
  shown.clear();
  $("caption-user").textContent = $("caption-robot").textContent = "";
  known.forEach(showTurn);
  showPartial(partial);
  showStatus(status);
  showMemory(memory);
}

function showStatus(status) {
  document.body.dataset.status = status;
  $("status").textContent = STATUS[status];
}

function notice(text) {
  $("notice").textContent = text;
}

// --- Help from people

function callLink(number) {
  const dialled = number.replace(/\s/g, "");
  if (!/^\d+$/.test(dialled)) return document.createTextNode(number);
  const link = element("a", "call", number);
  link.href = `tel:${dialled}`;
  return link;
}

function showHelp({ here, elsewhere }) {
  const question = element("strong", "", "In danger, or thinking of ending your life?");
  const sentence = [question, " Please call ", callLink(here.emergency)];
  if (here.line) sentence.push(`, or ${here.line}: `, callLink(here.number));
  $("care").replaceChildren(...sentence, ".");
  $("care-elsewhere").replaceChildren(...elsewhere.map(({ country, line, number }) => {
    const item = element("li", "", `${countryName(country)}: ${line}, `);
    item.append(callLink(number));
    return item;
  }));
}

function countryName(code) {
  return new Intl.DisplayNames(["en"], { type: "region" }).of(code);
}

// --- The conversation

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function showTurn(turn) {
  turns.set(turn.key, turn);
  if (!turn.user && !turn.sentences.length) return;
  if (!shown.has(turn.key)) {
    const entry = element("div", "turn", "");
    const [user, reply] = [element("p", "user", ""), element("p", "reply", "")];
    entry.append(user, reply);
    $("log").append(entry);
    shown.set(turn.key, { entry, user, reply });
  }
  const { entry, user, reply } = shown.get(turn.key);
  const stay = nearEnd();
  speech(user, "You: ", turn.user ? [turn.user] : []);
  speech(reply, "Robot: ", turn.sentences);
  [...reply.querySelectorAll(".sentence")].forEach((sentence, index) => {
    sentence.classList.toggle("waiting", index >= turn.started && !turn.over);
    sentence.classList.toggle("unsaid", index >= turn.started && turn.over === "interrupted");
  });
  entry.classList.toggle("interrupted", turn.over === "interrupted");
  if (stay) $("log").scrollTop = $("log").scrollHeight;
  caption(turn);
  showFacts();
}

function forgetTurn(key) {
  if (turns.get(key) === [...turns.values()].at(-1)) $("caption-user").textContent = $("caption-robot").textContent = "";
  shown.get(key)?.entry.remove();
  shown.delete(key);
  turns.delete(key);
}

// Only what is new is added: a screen reader then reads that, and nothing twice.
function speech(paragraph, speaker, sentences) {
  if (sentences.length && !paragraph.childElementCount) paragraph.append(element("span", "hidden", speaker));
  const there = paragraph.querySelectorAll(".sentence");
  sentences.forEach((text, index) => {
    if (!there[index]) paragraph.append(element("span", "sentence", text), " ");
    else if (there[index].textContent !== text) there[index].textContent = text;
  });
}

function nearEnd() {
  const log = $("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

// --- Live captions

function showPartial(text) {
  const caption = $("caption-user");
  if (text) [caption.textContent, caption.className] = [text, "partial"];
  else if (caption.className === "partial") [caption.textContent, caption.className] = ["", ""];
}

function caption(turn) {
  if (turn.key !== [...turns.keys()].at(-1)) return;
  if (turn.user) [$("caption-user").textContent, $("caption-user").className] = [turn.user, ""];
  const sentence = turn.sentences.at(turn.started ? Math.min(turn.started, turn.sentences.length) - 1 : 0) ?? "";
  if (captionOf(turn.key, sentence)) return;
  $("caption-robot").className = turn.started ? "" : "partial";
  $("caption-robot").textContent = sentence;
}

// Notes whose sentence the caption is now; gives whether it was that before.
function captionOf(key, sentence) {
  const { dataset } = $("caption-robot");
  const same = dataset.of === `${key} ${sentence}`;
  dataset.of = `${key} ${sentence}`;
  dataset.long = sentence.length > LONG_CAPTION;
  return same;
}

function stopWords() {
  wordTimers.forEach(clearTimeout);
  wordTimers = [];
}

// Each word takes its full colour as it sounds. age: s since the sentence began to sound.
function showWords({ turn: key, sentence, age, words }) {
  const turn = turns.get(key);
  if (!turn?.sentences[sentence] || !words.length) return;
  stopWords();
  const spans = turn.sentences[sentence].split(" ").map((word) => element("span", "coming", word));
  $("caption-robot").className = "";
  captionOf(key, turn.sentences[sentence]);
  $("caption-robot").replaceChildren(...spans.flatMap((span) => [span, " "]));
  spans.forEach((span, index) => {
    const start = words[Math.min(index, words.length - 1)][1];
    wordTimers.push(setTimeout(() => { span.className = ""; }, Math.max(0, (start - age) * 1000)));
  });
}

// --- Behind the last answer

function showFacts() {
  const turn = [...turns.values()].findLast(({ strategy, sentences }) => strategy || sentences.length);
  if (!turn) return;
  $("strategy").textContent = turn.strategy || "None yet";
  $("gesture").textContent = turn.gesture || "None yet";
  const stages = Object.entries(turn.latency);
  const longest = Math.max(1, ...stages.map(([, milliseconds]) => milliseconds));
  $("latency").replaceChildren(...stages.map(([name, milliseconds]) => {
    const row = element("div", "", "");
    row.style.setProperty("--part", Math.max(0, milliseconds / longest));
    row.append(element("dt", "", name), element("dd", "", `${(milliseconds / 1000).toFixed(2)} s`));
    return row;
  }));
}

// --- What the robot remembers of the person

function showMemory(memory) {
  $("memory").hidden = !memory || memory.state === "none";
  if (!memory) return;
  const { state, facts } = memory;
  const on = state === "on";
  $("memory-about").textContent = MEMORY[state];
  $("remember").setAttribute("aria-checked", on);
  $("remember").querySelector("span").textContent = on ? "on" : "off";
  $("remember").disabled = state === "unreachable";
  $("forget-me").hidden = state === "off";
  const buttons = [...$("facts").querySelectorAll("button")];
  const focused = buttons.indexOf(document.activeElement);
  $("facts").replaceChildren(...facts.toReversed().map(factItem));
  const left = $("facts").querySelectorAll("button");
  if (focused >= 0) (left[Math.min(focused, left.length - 1)] ?? $("remember")).focus();
}

function factItem({ number, source, told }) {
  const item = element("li", "", "");
  const when = new Date(told * 1000);
  const day = element("time", "", when.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" }));
  day.dateTime = when.toISOString();
  const button = element("button", "", "Forget");
  button.type = "button";
  button.setAttribute("aria-label", `Forget: ${source}`);
  button.addEventListener("click", () => tell({ forget: number }));
  item.append(element("span", "", source), day, button);
  return item;
}

function forgetMe() {
  if (!confirm("Erase everything that the robot remembers of you, and this conversation?")) return;
  tell({ forget: "everything" });
  $("remember").focus();
}

// --- What the person does

function send() {
  const text = $("line").value.trim();
  if (!text) return;
  const connected = socket?.readyState === WebSocket.OPEN;
  notice(connected ? "" : "The page has lost the robot. Your line is kept; send it again in a moment.");
  if (!connected) return;
  tell({ say: text });
  $("line").value = "";
  fitLine();
}

function fitLine() {
  $("line").style.height = "auto";
  $("line").style.height = `${$("line").scrollHeight + 2}px`;
}

function stop() {
  tell({ stop: true });
  voice.silence("");
  stopWords();
}

async function switchSound(on) {
  soundOffered = false;
  await (on ? voice.switchOn() : voice.switchOff());
  tell({ hears: on });
  press($("sound"), on);
}

async function switchMicrophone(on) {
  talking = on;
  if (on) {
    try {
      const rate = await microphone.switchOn((sound) => socket.readyState === WebSocket.OPEN && socket.send(sound));
      tell({ microphone: rate });
      notice("");
    } catch {
      talking = false;
      notice("The browser gives no microphone. Allow it in the browser's settings for this page.");
    }
  }
  if (!talking) {
    await microphone.switchOff();
    tell({ microphone: 0 });
  }
  press($("talk"), talking);
}

function press(button, on) {
  button.setAttribute("aria-pressed", on);
  button.querySelector("span").textContent = on ? "on" : "off";
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("line").addEventListener("input", fitLine);
$("line").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
});
$("talk").addEventListener("click", () => switchMicrophone(!talking));
$("sound").addEventListener("click", () => switchSound(!voice.on));
$("stop").addEventListener("click", stop);
$("remember").addEventListener("click", () => tell({ remember: $("remember").getAttribute("aria-checked") !== "true" }));
$("forget-me").addEventListener("click", forgetMe);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });
// Where this page is the robot's only loudspeaker, its sound begins with the person's first click or key.
for (const name of ["click", "keydown"]) {
  document.addEventListener(name, (event) => {
    if (soundOffered && event.target.closest?.("#sound") === null) switchSound(true);
  });
}
if (matchMedia("(max-width: 50rem)").matches) $("behind").open = false;

showStatus("connecting");
connect();

try {
  const { showRobot } = await import("/static/robot.js");
  robot = await showRobot($("robot"));
  $("robot").dataset.ready = robot !== null;
  if (!robot) throw new Error("There is no model of this robot to draw.");
} catch (error) {
  console.warn(error);
  $("robot").hidden = true;
  $("no-robot").hidden = false;
  $("no-robot").textContent = "This browser or this robot has no picture in three dimensions. Everything else works.";
}
