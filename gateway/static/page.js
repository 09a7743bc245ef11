/** The live page: everything on it comes from the event stream, nothing from anywhere else. */

import { EventClient, matches } from '/client.js';
import { Progress, isComplete } from '/progress.js';

const REPLAY_MS = 15 * 60 * 1000;
const FEED_ROWS = 120;
const HELD_EVENTS = 1000;
const ANALYSIS_ROWS = 60;
const RATE_WINDOW_S = 5;
const STATE_WORDS = {
  connecting: 'Connecting', connected: 'Connected', reconnecting: 'Reconnecting', refused: 'Refused',
  closed: 'Closed',
};

const element = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

const progress = new Progress();
const countsByType = new Map();
const arrivals = [];
let held = [];
let fresh = [];
let startCursor;
let frameRequested = false;

const client = new EventClient({ rooms: [] });
client.onState = showState;
client.onGap = (ranges) => notify(gapWords(ranges));
client.onRefused = (refusal) => notify(`${refusal.code}: ${refusal.message} ${refusal.remedy}`);
client.onJoined = joinAtFirst;
client.subscribe('*', take);
client.subscribe('analysis.*', (event) => progress.apply(event));
client.subscribe('system.run.*', followRun);
client.connect(developmentToken);

element('filter').addEventListener('input', redrawFeed);
element('pause').addEventListener('click', togglePause);
setInterval(requestFrame, 1000);

async function developmentToken() {
  const answer = await fetch('/dev/token', { method: 'POST' });
  if (!answer.ok) throw new Error('the gateway gives no development token');
  return (await answer.json()).token;
}

/** Begin a while ago, so that a page that is opened late shows the run that is under way. */
async function joinAtFirst() {
  if (startCursor) return;
  const named = new URLSearchParams(location.search).get('rooms');
  const rooms = ['system', ...(named ? named.split(',') : [])];
  const answer = await client.join(rooms, { since: Date.now() - REPLAY_MS });
  startCursor = answer.cursor;
}

/** Projects of a run are rooms of their own: join them from where this page began. */
async function followRun(event) {
  element('run').textContent = event.type === 'system.run.started'
    ? `Run ${event.data.runId} · ${number.format(event.data.files ?? 0)} files`
    : `Run ${event.data.runId} · completed`;
  const rooms = (event.data.projects ?? [])
    .map((project) => `project.${project}`)
    .filter((room) => !client.rooms.has(room));
  if (rooms.length) await client.join(rooms, { cursor: startCursor ?? client.cursor });
}

function take(event) {
  countsByType.set(event.type, (countsByType.get(event.type) ?? 0) + 1);
  arrivals.push(performance.now());
  held.push(event);
  if (held.length > 2 * HELD_EVENTS) held = held.slice(-HELD_EVENTS);
  if (isShown(event)) fresh.push(event);
  if (fresh.length > FEED_ROWS) fresh = fresh.slice(-FEED_ROWS);
  requestFrame();
}

function requestFrame() {
  if (frameRequested) return;
  frameRequested = true;
  requestAnimationFrame(draw);
}

function draw() {
  frameRequested = false;
  drawTotals();
  drawProjects();
  drawAnalyses();
  drawTypes();
  drawFeed();
}

function drawTotals() {
  const since = performance.now() - RATE_WINDOW_S * 1000;
  while (arrivals.length && arrivals[0] < since) arrivals.shift();
  const { complete, running } = progress.counts();
  const { files, functions, classes, lines, failed } = progress.totals;
  const rate = Math.round(arrivals.length / RATE_WINDOW_S);
  write('events', client.deliveries.distinct);
  write('rate', `${number.format(rate)} per second`);
  write('complete', complete);
  write('running', `${number.format(running)} running`);
  write('files', files);
  write('failed', `${number.format(failed)} with errors`);
  write('lines', lines);
  write('functions', functions);
  write('classes', classes);
}

function drawProjects() {
  const rows = progress.projects().map((project) => ({
    key: project.name,
    name: project.name,
    note: `${number.format(project.done)} / ${number.format(project.total)} files`,
    share: share(project.done, project.total),
    complete: project.running === 0,
  }));
  drawBars(element('projects'), rows, 'No project yet');
}

function drawAnalyses() {
  const rows = progress.newest(ANALYSIS_ROWS).map((analysis) => ({
    key: analysis.id,
    name: analysis.name,
    note: `${number.format(analysis.done)} / ${number.format(analysis.total ?? analysis.done)}`,
    share: share(analysis.done, analysis.total),
    complete: isComplete(analysis),
  }));
  const hidden = progress.analyses.size - rows.length;
  write('analyses-note', hidden > 0 ? `newest ${rows.length} of ${progress.analyses.size}` : '');
  drawBars(element('analyses'), rows, 'No analysis yet');
}

/** One list item per row, reused in place so that bars move instead of jumping. */
function drawBars(list, rows, emptyWords) {
  list.dataset.empty = rows.length ? '' : emptyWords;
  while (list.children.length > rows.length) list.lastElementChild.remove();
  while (list.children.length < rows.length) list.append(newBar());
  rows.forEach((row, index) => {
    const item = list.children[index];
    const [label, track] = item.children;
    item.dataset.key = row.key;
    item.dataset.complete = row.complete;
    label.children[0].textContent = row.name;
    label.children[1].textContent = row.note;
    track.setAttribute('aria-valuenow', String(Math.round(row.share * 100)));
    track.setAttribute('aria-label', row.name);
    track.firstElementChild.style.transform = `scaleX(${row.share})`;
  });
}

function newBar() {
  const item = document.createElement('li');
  const label = tag('div', 'label');
  label.append(tag('span', 'name'), tag('span', 'note'));
  const track = tag('div', 'track');
  track.setAttribute('role', 'progressbar');
  track.setAttribute('aria-valuemin', '0');
  track.setAttribute('aria-valuemax', '100');
  track.append(tag('div', 'fill'));
  item.append(label, track);
  return item;
}

function drawTypes() {
  const rows = [...countsByType].sort((a, b) => b[1] - a[1]);
  const most = rows.length ? rows[0][1] : 1;
  const list = element('types');
  list.dataset.empty = rows.length ? '' : 'No event yet';
  while (list.children.length < rows.length) {
    const item = document.createElement('li');
    item.append(tag('i', 'share'), tag('span', 'type'), tag('b', 'count'));
    list.append(item);
  }
  rows.forEach(([type, count], index) => {
    const [bar, name, total] = list.children[index].children;
    bar.style.transform = `scaleX(${count / most})`;
    list.children[index].dataset.family = family(type);
    name.textContent = type;
    total.textContent = number.format(count);
  });
}

function drawFeed() {
  const list = element('feed');
  list.dataset.empty = countsByType.size ? 'No event of this filter' : 'Waiting for events';
  if (isPaused() || !fresh.length) return;
  list.prepend(...fresh.reverse().map(feedRow));
  fresh = [];
  while (list.children.length > FEED_ROWS) list.lastElementChild.remove();
}

function redrawFeed() {
  element('feed').replaceChildren();
  fresh = held.filter(isShown).slice(-FEED_ROWS);
  requestFrame();
}

function feedRow(event) {
  const row = document.createElement('li');
  row.dataset.family = family(event.type);
  row.dataset.id = event.id;
  const time = tag('time', '', clock.format(new Date(event.timestamp)));
  time.dateTime = event.timestamp;
  row.append(time, tag('span', 'type', event.type), tag('span', 'what', summary(event.data)));
  row.title = JSON.stringify(event.data, null, 2);
  return row;
}

/** The telling values of an event; identifiers that repeat on every row are left out. */
function summary(data) {
  const plain = Object.entries(data ?? {})
    .filter(([name, value]) => value !== null && !/Id$/.test(name) && typeof value !== 'object');
  const [first, ...rest] = plain.sort(([, a], [, b]) => (typeof b === 'string') - (typeof a === 'string'));
  if (!first) return Object.values(data ?? {}).filter((value) => typeof value === 'string').join(' · ');
  const shown = (value) => (typeof value === 'number' ? number.format(value) : String(value));
  return [shown(first[1]), ...rest.map(([name, value]) => `${name} ${shown(value)}`)].join(' · ');
}

function isShown(event) {
  const wanted = element('filter').value.trim();
  if (!wanted) return true;
  return wanted.includes('*') ? matches(wanted, event.type) : event.type.includes(wanted);
}

function isPaused() {
  return element('pause').getAttribute('aria-pressed') === 'true';
}

function togglePause() {
  const paused = !isPaused();
  element('pause').setAttribute('aria-pressed', String(paused));
  element('pause').textContent = paused ? 'Resume' : 'Pause';
  requestFrame();
}

function showState(state) {
  element('state').dataset.state = state;
  element('state').lastElementChild.textContent = STATE_WORDS[state];
  if (state === 'connected') element('notice').hidden = true;
}

function notify(words) {
  element('notice').textContent = words;
  element('notice').hidden = false;
}

function gapWords(ranges) {
  const places = ranges.map(({ topic, partition, from, to }) => `${topic}/${partition} ${from}–${to ?? '?'}`);
  return `Some events cannot be shown any more: ${places.join(', ')}`;
}

function family(type) {
  return type.split('.', 1)[0];
}

function share(done, total) {
  return total ? Math.min(1, done / total) : 0;
}

function tag(name, className, text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function write(id, value) {
  const text = typeof value === 'number' ? number.format(value) : value;
  if (element(id).textContent !== text) element(id).textContent = text;
}
