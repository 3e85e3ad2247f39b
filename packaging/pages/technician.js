/* The technician's page: draws what GET /v1/overview says, and the story of one transaction. It changes nothing. */
"use strict";

var overview = null, story = null, watch = null;

function line(first, second, tag, meaning, opens) {
  var button = make("button", "row"), text = make("div", "text");
  button.type = "button";
  if (meaning) { button.setAttribute("data-meaning", meaning); }
  text.appendChild(make("b", "", first));
  text.appendChild(make("span", "", second));
  button.appendChild(text);
  if (tag) { button.appendChild(make("span", "tag", tag)); }
  if (opens) { button.addEventListener("click", function () { open(opens); }); } else { button.disabled = true; }
  return button;
}

function fill(id, values, row) {
  if (!changed(id, values)) { return; }
  values.forEach(function (each) { byId(id).appendChild(row(each)); });
  if (!values.length) { byId(id).appendChild(make("p", "", Speech.say("nothing", {}))); }
}

function draw() {
  byId("glance").hidden = !!story;
  byId("story").hidden = !story;
  if (story) { drawStory(); }
  if (!overview) { return; }
  fill("facts", overview.facts, function (fact) {
    var pair = make("div", fact.bad ? "bad" : "");
    pair.appendChild(make("dt", "", fact.name));
    pair.appendChild(make("dd", "", fact.value));
    return pair;
  });
  fill("tasks", overview.tasks, function (task) {
    var next = Speech.say("owner", {owner: task.owner, next: task.next_action}) + " · " + task.at;
    return line(task.what, next, task.number, "hold", task.transaction);
  });
  fill("transactions", overview.transactions, function (item) { return line(item.title, item.at, item.state, item.meaning, item.id); });
}

function drawStory() {
  byId("title").textContent = story.title;
  byId("state").textContent = story.state;
  byId("advice").textContent = story.advice;
  byId("long").textContent = story.advice_long;
  byId("reason").textContent = story.reason;
  if (!changed("lines", story.lines)) { return; }
  story.lines.forEach(function (each) {
    var item = make("li", each.own ? "" : "other");
    item.appendChild(make("time", "", each.at));
    item.appendChild(make("span", "", each.text));
    byId("lines").appendChild(item);
  });
}

function open(id) {
  return Way.call("GET", "/v1/transactions/" + encodeURIComponent(id) + "/timeline?lang=" + Speech.lang).then(function (answer) {
    if (answer.status === 200) { story = answer.body; draw(); scrollTo(0, 0); }
  }).catch(function () { watch.look(); });
}

function lose(why) {
  var kind = why === "closed" ? "no_link" : "lost";
  overview = null;
  byId("lost").hidden = false;
  byId("lost").textContent = Speech.say(kind, {}) + " · " + Speech.say(kind + "_long", {});
  byId("glance").hidden = true;
}

function show(value) {
  overview = value;
  byId("lost").hidden = true;
  if (value.lang !== Speech.lang) { Speech.byTerminal(value.lang); }
  draw();
}

Speech.use(Speech.lang);
byId("again").addEventListener("click", function () { watch.look(); if (story) { open(story.id); } });
byId("back").addEventListener("click", function () { story = null; draw(); });
byId("lang").addEventListener("click", function () { Speech.turn(); watch.look(); if (story) { open(story.id); } });
watch = new Watch(function () { return "/v1/overview" + (Speech.chosen ? "?lang=" + Speech.lang : ""); }, show, lose);
Way.enter().catch(function () { /* the first look says what is wrong */ }).then(function () { watch.start(); });
