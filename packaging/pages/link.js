/* What both pages share: the language, the way in, calls, and the event stream with its watch over the connection.
   Baseline: Chromium 60. Nothing here judges; every text from outside goes through textContent. */
"use strict";

var LOOK_MS = 8000;      // asked anew at least so often
var RETRY_MS = 1500;     // after a failure, or while the stream is down
var ANSWER_MS = 5000;    // an answer that takes longer is none
var OLD_MS = 15000;      // what was last heard so long ago is not shown any more
var TOKEN = "reversald.page";

function byId(id) { return document.getElementById(id); }

function make(tag, name, text) {
  var element = document.createElement(tag);
  if (name) { element.className = name; }
  if (text !== undefined) { element.textContent = text; }
  return element;
}

function empty(element) { while (element.firstChild) { element.removeChild(element.firstChild); } }

/* True, and the element with this id emptied, when it shows something else than `value` or another language: what stays the
   same is not built anew, so that no finger loses the button beneath it. Ages go on by themselves and change nothing. */
var drawn = {};
function changed(id, value) {
  var text = Speech.lang + JSON.stringify(value, function (key, each) { return key === "age_ms" ? undefined : each; });
  if (drawn[id] === text) { return false; }
  drawn[id] = text;
  empty(byId(id));
  return true;
}

/* ── language ── */

var Speech = {
  lang: /[?&]lang=en\b/.test(location.search) ? "en" : "zh",
  chosen: /[?&]lang=(zh|en)\b/.test(location.search),
  say: function (key, values) {
    return TEXTS[Speech.lang][key].replace(/\{(\w+)\}/g, function (_, name) { return values[name]; });
  },
  of: function (said) { return said[Speech.lang]; },
  use: function (lang) {
    Speech.lang = lang;
    document.documentElement.lang = lang;
    Array.prototype.forEach.call(document.querySelectorAll("[data-say]"), function (element) {
      element.textContent = Speech.say(element.getAttribute("data-say"), {});
    });
  },
  byTerminal: function (lang) {
    if (!Speech.chosen && lang !== Speech.lang) { Speech.use(lang); }
  },
  turn: function () {
    Speech.chosen = true;
    Speech.use(Speech.lang === "zh" ? "en" : "zh");
  }
};

/* 100 fen as people write it; whole numbers only. */
function money(fen) {
  var cents = String(fen % 100);
  var text = Math.floor(fen / 100) + "." + (cents.length < 2 ? "0" + cents : cents);
  return Speech.lang === "zh" ? text + "元" : "CNY " + text;
}

/* ── the way in ── */

var Way = {
  token: null,
  /* What stands behind the # is handed in once and taken out of the address; it never was in a request line. */
  enter: function () {
    var key = location.hash.slice(1);
    try { Way.token = sessionStorage.getItem(TOKEN); } catch (_) { Way.token = null; }
    if (!key) { return Promise.resolve(); }
    history.replaceState(null, "", location.pathname + location.search);
    return Way.call("POST", "/v1/pages/session", {key: key}).then(function (answer) {
      if (answer.status === 201) {
        Way.token = answer.body.token;
        try { sessionStorage.setItem(TOKEN, Way.token); } catch (_) { /* then a reload needs a new link */ }
      }
    });
  },
  headers: function () { return Way.token ? {"Authorization": "Bearer " + Way.token} : {}; },
  /* {status, body}; rejects when no answer comes. */
  call: function (method, path, body, key) {
    var headers = Way.headers();
    if (body !== undefined) { headers["Content-Type"] = "application/json"; }
    if (key) { headers["Idempotency-Key"] = key; }
    var asked = fetch(path, {
      method: method, headers: headers, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error"
    }).then(function (response) {
      return response.json().then(function (value) { return {status: response.status, body: value}; });
    });
    return Promise.race([asked, new Promise(function (_, reject) {
      setTimeout(function () { reject(new Error("no answer")); }, ANSWER_MS);
    })]);
  }
};

/* A name for one press, so that pressing again after a lost answer does not do it twice. */
function pressKey() {
  var bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.prototype.map.call(bytes, function (byte) { return (256 + byte).toString(16).slice(1); }).join("");
}

/* The sentence for an answer that is no success. */
function trouble(answer) {
  var code = String(answer.body.type || "").split(":").pop();
  var known = "p_" + code.replace(/-/g, "_");
  if (TEXTS.zh[known]) { return Speech.say(known, {}); }
  return Speech.say("p_unknown", {status: answer.status, detail: String(answer.body.detail || "")});
}

/* ── staying in touch ── */

/* Reads `path` now and whenever the event stream tells of something; shows it with `show`, and `lose(why)` once it is old. */
function Watch(path, show, lose) {
  this.path = path; this.show = show; this.lose = lose;
  this.seq = null; this.heard = null; this.asking = false; this.again = false; this.timer = null; this.streaming = false;
}

function clocks() { return {steady: performance.now(), wall: Date.now()}; }

Watch.prototype.start = function () {
  var watch = this;
  setInterval(function () { watch.check(); }, 1000);
  document.addEventListener("visibilitychange", function () { watch.check(); watch.look(); });
  this.look();
};

/* What was heard too long ago is taken down: the terminal slept, or the agent hangs. */
Watch.prototype.check = function () {
  var now = clocks(), heard = this.heard;
  if (heard && (now.steady - heard.steady > OLD_MS || Math.abs(now.wall - heard.wall) > OLD_MS)) { this.lost("lost"); }
};

Watch.prototype.lost = function (why) {
  this.heard = null;
  document.body.setAttribute("data-link", why);
  this.lose(why);
};

Watch.prototype.look = function () {
  var watch = this;
  if (this.asking) { this.again = true; return; }
  this.asking = true;
  clearTimeout(this.timer);
  Way.call("GET", this.path()).then(function (answer) {
    if (answer.status === 401 || answer.status === 421) { watch.lost("closed"); return; }
    if (answer.status !== 200) { throw new Error("status " + answer.status); }
    watch.heard = clocks();
    document.body.setAttribute("data-link", "up");
    if (watch.seq === null) { watch.seq = answer.body.seq; }
    watch.show(answer.body);
    watch.follow();
  }).catch(function () { watch.lost("lost"); }).then(function () {
    watch.asking = false;
    if (watch.again) { watch.again = false; watch.look(); return; }
    watch.timer = setTimeout(function () { watch.look(); }, watch.heard && watch.streaming ? LOOK_MS : RETRY_MS);
  });
};

/* EventSource sends no header, so the stream is read by hand: only `id:` matters, for what changed is read afresh. */
Watch.prototype.follow = function () {
  var watch = this, headers = Way.headers(), rest = "";
  if (this.streaming) { return; }
  this.streaming = true;
  headers["Last-Event-ID"] = String(this.seq);
  fetch("/v1/events", {headers: headers, cache: "no-store", credentials: "omit"}).then(function (response) {
    if (response.status !== 200) { throw new Error("status " + response.status); }
    var reader = response.body.getReader(), decoder = new TextDecoder();
    function next(part) {
      if (part.done) { throw new Error("ended"); }
      rest += decoder.decode(part.value, {stream: true});
      var ids = rest.match(/^id: \d+$/mg), end = rest.lastIndexOf("\n");
      if (ids) { watch.seq = Number(ids[ids.length - 1].slice(4)); }
      if (end >= 0) { rest = rest.slice(end + 1); }
      if (rest.length > 100000) { rest = ""; }
      if (ids) { watch.look(); }
      return reader.read().then(next);
    }
    return reader.read().then(next);
  }).catch(function () {
    watch.streaming = false;
    watch.look();  // is it gone, or only the stream?
  });
};
