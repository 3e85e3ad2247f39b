/* The cashier's screen: draws what GET /v1/cashier says, and posts what people press. */
"use strict";

var SHOWN_MS = 180000;   // so long something that is over stays in view
var till = null, chosen = null, seen = {}, loaded = false, spoken = "", watch = null;

/* ── sound: tones, no file; browsers keep silent until the first touch ── */

var TONES = {release: [660, 880], again: [520, 520], hold: [220, 220, 220], lost: [160, 160], wait: [], done: [440], none: []};
var Sound = {
  context: null, off: false,
  unlock: function () {
    var Context = window.AudioContext || window.webkitAudioContext;
    if (!Context || Sound.context) { return; }
    Sound.context = new Context();
    if (Sound.context.resume) { Sound.context.resume(); }
    Sound.label();
  },
  label: function () {
    var state = Sound.off ? "sound_off" : Sound.context ? "sound_on" : "sound_locked";
    byId("sound").textContent = Speech.say(state, {});
    byId("sound").setAttribute("aria-pressed", String(state === "sound_on"));
  },
  play: function (meaning) {
    if (!Sound.context || Sound.off) { return; }
    TONES[meaning].forEach(function (hertz, index) {
      var at = Sound.context.currentTime + 0.24 * index, gain = Sound.context.createGain(), tone = Sound.context.createOscillator();
      tone.frequency.value = hertz;
      gain.gain.setValueAtTime(0.0001, at);
      gain.gain.exponentialRampToValueAtTime(0.3, at + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.2);
      tone.connect(gain);
      gain.connect(Sound.context.destination);
      tone.start(at);
      tone.stop(at + 0.22);
    });
  }
};

/* ── drawing ── */

function put(id, text) { if (byId(id).textContent !== text) { byId(id).textContent = text; } }

/* Something that is over goes out of view some minutes after it was first seen so, or at once when it was so long before the
   page was opened; how it stood stays in the agent. */
function inView() {
  var now = performance.now(), before = seen;
  seen = {};
  return till.now.filter(function (card) {
    var name = card.id + card.advice.code, old = !loaded && (card.age_ms === null || card.age_ms > SHOWN_MS);
    seen[name] = name in before ? before[name] : old ? now - SHOWN_MS : now;
    return card.live || now - seen[name] < SHOWN_MS;
  });
}

function draw(meaning, texts) {
  document.body.setAttribute("data-meaning", meaning);
  byId("shape").setAttribute("href", "#" + meaning);
  byId("sums").className = texts.amount ? "sums" : "sums bare";
  put("earlier", texts.earlier || ""); put("amount", texts.amount || ""); put("whose", texts.whose || "");
  put("word", texts.word); put("short", texts.short || ""); put("long", texts.long || ""); put("reason", texts.reason || "");
  put("said", texts.said || "");
  byId("customer").hidden = !texts.said;
  var name = meaning + (texts.name || "");
  if (name !== spoken) {
    if (spoken) { Sound.play(meaning); }
    spoken = name;
  }
}

function drawCard(card) {
  var zh = Speech.lang === "zh", advice = card.advice;
  draw(card.meaning, {
    earlier: card.earlier ? Speech.say("earlier", {}) : "", amount: money(advice.amount_fen), whose: Speech.of(card.whose),
    word: Speech.of(card.word), short: zh ? advice.zh : advice.en,
    long: zh ? advice.zh_long : advice.en_long, reason: zh ? advice.reason_zh : advice.reason_en,
    said: Speech.of(card.customer), name: card.id + advice.code
  });
}

function drawNoted(card) {
  var notes = card ? card.noted : [];
  if (!changed("noted", notes)) { return; }
  notes.forEach(function (said) { byId("noted").appendChild(make("li", "", Speech.of(said))); });
}

function drawTodo() {
  var tasks = till ? till.todo : [], message = till ? till.message : null;
  if (!changed("todo", [tasks, message])) { return; }
  if (message) { byId("todo").appendChild(make("li", "fleet", Speech.say("message", {what: Speech.of(message)}))); }
  tasks.forEach(function (said) { byId("todo").appendChild(make("li", "", Speech.say("todo", {what: Speech.of(said)}))); });
}

function drawPresses(card) {
  if (!changed("presses", card ? [card.id, card.presses] : [])) { return; }
  (card ? card.presses : []).forEach(function (press, index) {
    var button = make("button", index < 3 ? "" : "extra", Speech.say(press, {}));
    button.type = "button";
    button.id = "press-" + press;
    button.addEventListener("click", function () { PRESSES[press](card.id); });
    byId("presses").appendChild(button);
  });
}

function row(card) {
  var line = make("div", "row"), text = make("div", "text"), zh = Speech.lang === "zh";
  line.setAttribute("data-meaning", card.meaning);
  text.appendChild(make("b", "", zh ? card.advice.zh : card.advice.en));
  text.appendChild(make("p", "", zh ? card.advice.zh_long : card.advice.en_long));
  text.appendChild(make("span", "", money(card.advice.amount_fen) + " · " + Speech.of(card.whose)));
  line.appendChild(text);
  return line;
}

function drawOthers(cards, more) {
  byId("others").hidden = !cards.length;
  if (!changed("other", [cards, more])) { return; }
  cards.forEach(function (card) {
    var line = row(card), button = make("button", line.className);
    button.type = "button";
    button.setAttribute("data-meaning", card.meaning);
    while (line.firstChild) { button.appendChild(line.firstChild); }
    button.appendChild(make("span", "tag", Speech.of(card.word)));
    button.addEventListener("click", function () { chosen = card.id; spoken = card.meaning + card.id + card.advice.code; redraw(); scrollTo(0, 0); });
    byId("other").appendChild(button);
  });
  if (more) { byId("other").appendChild(make("p", "", Speech.say("more", {n: more}))); }
}

function drawLeft() {
  var cards = till ? till.yesterday : [], more = till ? till.more_yesterday : 0;
  byId("left").hidden = !cards.length;
  if (!changed("yesterday", [cards, more])) { return; }
  put("leftover", Speech.say(more ? "left_more" : "left", {n: cards.length, more: more}));
  cards.forEach(function (card) {
    var line = row(card), todo = make("div", "do");
    [["first", "ack", Ask.read], ["", "details", Ask.goods]].forEach(function (each) {
      var button = make("button", each[0], Speech.say(each[1], {}));
      button.type = "button";
      button.addEventListener("click", function () { each[2](card.id); });
      todo.appendChild(button);
    });
    line.appendChild(todo);
    byId("yesterday").appendChild(line);
  });
}

function redraw() {
  Sound.label();
  if (!till) { return; }
  var cards = inView();
  /* Large stands what was opened last, what somebody chose, or an earlier one that still runs: never an earlier "pay again". */
  var main = cards.filter(function (card) { return card.id === chosen; })[0]
    || cards.filter(function (card) { return !card.earlier || card.live; })[0] || null;
  put("terminal", till.terminal_id);
  if (main) { drawCard(main); } else { draw("none", {word: Speech.say("idle", {}), long: Speech.say("idle_long", {})}); }
  drawNoted(main);
  drawTodo();
  drawPresses(main);
  drawOthers(cards.filter(function (card) { return card !== main; }), till.more_now);
  drawLeft();
}

/* Nothing that was said before stays: not a release, not a "pay again", no button. */
function lose(why) {
  var kind = why === "closed" ? "no_link" : "lost";
  till = null;
  Sheet.shut();
  draw("lost", {word: Speech.say(kind, {}), short: Speech.say(kind + "_short", {}), long: Speech.say(kind + "_long", {}), name: why});
  drawNoted(null);
  drawTodo();
  drawPresses(null);
  drawOthers([], 0);
  drawLeft();
}

function show(value) {
  if (till && value.now[0] && till.now[0] && value.now[0].id !== till.now[0].id) { chosen = null; }
  till = value;
  Speech.byTerminal(value.lang);
  redraw();
  loaded = true;
}

/* ── what people press ── */

function cardOf(id) { return till && till.now.concat(till.yesterday).filter(function (card) { return card.id === id; })[0]; }

var Sheet = {
  open: function (ask, id, choices) {
    var card = cardOf(id);
    if (!card) { return; }
    put("ask", ask); put("trouble", "");
    put("about", money(card.advice.amount_fen) + " · " + Speech.of(card.whose));
    empty(byId("choices"));
    choices.forEach(function (choice) { byId("choices").appendChild(choice); });
    byId("sheet").hidden = false;
    (byId("choices").querySelector("input, button") || byId("close")).focus();
  },
  shut: function () { byId("sheet").hidden = true; },
  choice: function (text, does, kind) {
    var button = make("button", "choice " + (kind || ""), text), key = pressKey();
    button.type = "button";
    button.addEventListener("click", function () { does(key, button); });
    return button;
  },
  field: function (name, limit, value) {
    var label = make("label", "", Speech.say(name, {})), input = make("input");
    input.id = "field-" + name; input.maxLength = limit; input.value = value || "";
    input.autocomplete = "off"; input.spellcheck = false;
    label.appendChild(input);
    return label;
  }
};

function toast(text) {
  put("toast", text);
  byId("toast").hidden = false;
  setTimeout(function () { byId("toast").hidden = true; }, 2500);
}

/* One press, one post; a second press of the same button after a lost answer is the same press. */
function post(id, call, body, key, button, done) {
  button.disabled = true;
  put("trouble", "");
  Way.call("POST", "/v1/transactions/" + encodeURIComponent(id) + "/" + call, body, key).then(function (answer) {
    button.disabled = false;
    if (answer.status >= 300) {
      if (byId("sheet").hidden) { toast(trouble(answer)); } else { put("trouble", trouble(answer)); }
    } else {
      Sheet.shut();
      toast(Speech.say(done || "saved", {}));
    }
    watch.look();
  }).catch(function () {
    button.disabled = false;
    if (byId("sheet").hidden) { toast(Speech.say("p_offline", {})); } else { put("trouble", Speech.say("p_offline", {})); }
  });
}

function disposed(id, said) {
  return function (key, button) { post(id, "disposition", said, key, button); };
}

var Ask = {
  goods: function (id) {
    var card = cardOf(id), holds = card && card.advice.hold_goods;
    var gone = holds ? function () { Ask.gone(id); } : disposed(id, {goods: "released"});
    Sheet.open(Speech.say("goods_ask", {}), id, [
      Sheet.choice(Speech.say("held", {}), disposed(id, {goods: "held"})),
      Sheet.choice(Speech.say("released", {}), gone),
      Sheet.choice(Speech.say("returned", {}), disposed(id, {goods: "returned"}))
    ]);
  },
  gone: function (id) {
    Sheet.open(Speech.say("released_ask", {}), id, [Sheet.choice(Speech.say("released_yes", {}), disposed(id, {goods: "released"}), "grave")]);
  },
  replaced: function (id) {
    var payments = till.payments.filter(function (each) { return each.id !== id; }).slice(0, 3);
    Sheet.open(Speech.say("replaced_ask", {}), id, [
      Sheet.choice(Speech.say("cash", {}), disposed(id, {replaced_by: "cash"})),
      Sheet.choice(Speech.say("none", {}), disposed(id, {replaced_by: "none"}))
    ].concat(payments.map(function (each) {
      var text = Speech.say("payment", {amount: money(each.amount_fen), whose: Speech.of(each.whose)});
      return Sheet.choice(text, disposed(id, {replaced_by: each.id}));
    })));
  },
  evidence: function (id) {
    function shown(kind) { return function (key, button) { post(id, "evidence", {kind: kind}, key, button); }; }
    Sheet.open(Speech.say("evidence_ask", {}), id, [
      Sheet.choice(Speech.say("debit_sms", {}), shown("debit_sms")),
      Sheet.choice(Speech.say("refund_sms", {}), shown("refund_sms")),
      Sheet.choice(Speech.say("wallet_record", {}), function () { Ask.order(id); })
    ]);
  },
  order: function (id) {
    var keys = {}, send = Sheet.choice(Speech.say("send", {}), function (_, button) {
      var number = byId("field-order_no").value.trim();
      if (!number) { put("trouble", Speech.say("empty", {})); return; }
      keys[number] = keys[number] || pressKey();
      post(id, "evidence", {kind: "wallet_record", order_no: number}, keys[number], button);
    });
    var field = Sheet.field("order_no", 64);
    field.addEventListener("keydown", function (event) { if (event.key === "Enter") { send.click(); } });  // as scanners end a code
    Sheet.open(Speech.say("wallet_record", {}), id, [field, send]);
  },
  risk: function (id) {
    Sheet.open(Speech.say("risk_ask", {}), id, [
      make("p", "", Speech.say("risk_text", {})),
      Sheet.choice(Speech.say("risk_yes", {}), disposed(id, {accepts_risk: true}), "grave")
    ]);
  },
  read: function (id) {
    var code = cardOf(id).advice.code, name = "";
    try { name = sessionStorage.getItem("reversald.by") || ""; } catch (_) { name = ""; }
    Sheet.open(Speech.say("ack_ask", {}), id, [
      Sheet.field("by", 32, name),
      Sheet.choice(Speech.say("ack", {}), function (key, button) {
        var by = byId("field-by").value.trim();
        if (!by) { put("trouble", Speech.say("empty", {})); return; }
        try { sessionStorage.setItem("reversald.by", by); } catch (_) { /* then it is typed again */ }
        post(id, "acknowledge", {code: code, by: by}, pressKey(), button);
      })
    ]);
  }
};

var PRESSES = {
  goods: Ask.goods, replaced: Ask.replaced, evidence: Ask.evidence, risk: Ask.risk,
  reprint: function (id) { post(id, "reprint", {}, pressKey(), byId("press-reprint"), "printing"); },
  guarantee: function (id) { post(id, "guarantee", {}, pressKey(), byId("press-guarantee"), "printing"); }
};

/* ── beginning ── */

Speech.use(Speech.lang);
Sound.label();
byId("lang").addEventListener("click", function () { Speech.turn(); if (till) { redraw(); } else { lose(document.body.getAttribute("data-link")); } });
byId("close").addEventListener("click", Sheet.shut);
byId("sheet").addEventListener("click", function (event) { if (event.target === byId("sheet")) { Sheet.shut(); } });
document.addEventListener("keydown", function (event) { if (event.key === "Escape") { Sheet.shut(); } });
["touchend", "mouseup", "keydown"].forEach(function (kind) {
  document.addEventListener(kind, function (event) {
    var locked = !Sound.context;
    Sound.unlock();
    if (locked && event.target === byId("sound")) { Sound.first = true; }
  }, true);
});
byId("sound").addEventListener("click", function () {
  if (Sound.first) { Sound.first = false; return; }  // this touch has just switched it on
  Sound.off = !Sound.off;
  Sound.label();
});
draw("none", {word: Speech.say("idle", {}), long: Speech.say("idle_long", {})});
watch = new Watch(function () { return "/v1/cashier"; }, show, lose);
Way.enter().catch(function () { /* the first look says what is wrong */ }).then(function () { watch.start(); });
