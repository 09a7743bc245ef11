/**
 * Events in the browser: rooms, patterns, and after a reconnect exactly what was missed.
 *
 *     const client = new EventClient({ rooms: ['system', 'project.a'] });
 *     client.subscribe('analysis.*', (event) => console.log(event.type, event.data));
 *     client.connect(token);
 *
 * Each event is handed out once, in order per room. What cannot be replayed is told to `onGap`,
 * what is refused to `onRefused`. Needs Socket.IO's `io`, by default the global one.
 *
 * @typedef {{epoch: string, topic: string, partition: number, offset: number, time: number}} Position
 * @typedef {{id: string, type: string, data: Object<string, any>, timestamp: string, position: Position, compressedFrom?: number, compressedFirst?: string}} BrowserEvent
 *   `compressedFrom`: how many events of its aggregate this one stands for, because the client lagged
 * @typedef {Object<string, {epoch: string, offset: number}>} Cursor
 * @typedef {{topic: string, partition: number, from: number, to: (number|null), reason: string}} GapRange
 * @typedef {{code: string, message: string, remedy: string, room?: string}} Refusal
 * @typedef {{joined: string[], refused: Refusal[], cursor: Cursor}} JoinAnswer
 * @typedef {'connecting'|'connected'|'reconnecting'|'refused'|'closed'} ConnectionState
 */

const NAMESPACE = '/ws';
const RENEW_DELAY_MS = 1000;
const ANSWER_TIMEOUT_MS = 10000;

/** Whether a pattern (`*`, a type, or a prefix such as `analysis.*`) covers a type. */
export function matches(pattern, type) {
  if (pattern === '*' || pattern === type) return true;
  return pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1));
}

/** The newest ids, at most `limit` of them. */
class RecentIds {
  constructor(limit) {
    this.limit = limit;
    this.ids = new Set();
  }

  /** Remember an id; false if it is known. */
  add(id) {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    if (this.ids.size > this.limit) this.ids.delete(this.ids.values().next().value);
    return true;
  }
}

export class EventClient {
  /**
   * @param {{url?: string, rooms?: string[], io?: Function, rememberedIds?: number}} options
   *   `rooms` are joined on every connect; by default `system` and the token's own user room.
   */
  constructor({ url = '', rooms, io = globalThis.io, rememberedIds = 200000 } = {}) {
    this.url = url;
    this.io = io;
    /** Counts: distinct events, and repeats that were dropped. */
    this.deliveries = { distinct: 0, repeatsDropped: 0 };
    /** @type {Cursor} Where this client is; goes with every reconnect. */
    this.cursor = {};
    this.rooms = rooms ? new Set(rooms) : null;
    this.patterns = new Set();
    this.handlers = new Map();
    this.seen = new RecentIds(rememberedIds);
    /** @type {(state: ConnectionState) => void} */
    this.onState = () => {};
    /** @type {(ranges: GapRange[]) => void} */
    this.onGap = () => {};
    /** @type {(refusal: Refusal) => void} */
    this.onRefused = () => {};
    /** @type {() => void} after the rooms are joined again */
    this.onJoined = () => {};
    this.socket = null;
  }

  /**
   * Connect, and stay connected.
   * @param {string | (() => Promise<string>)} token a function is asked again for every connection
   */
  connect(token) {
    const currentToken = typeof token === 'function' ? token : async () => token;
    this.renewable = typeof token === 'function';
    this.onState('connecting');
    this.socket = this.io(`${this.url}${NAMESPACE}`, {
      auth: (give) => this.credentials(currentToken, give),
      transports: ['websocket'],
      forceNew: true,
      reconnectionDelay: 300,
      reconnectionDelayMax: 5000,
    });
    this.socket.on('connect', () => this.connected());
    this.socket.on('disconnect', () => this.onState('reconnecting'));
    this.socket.on('connect_error', (error) => this.failed(error));
    this.socket.onAny((name, body) => this.received(name, body));
  }

  /**
   * Call `handler` for each new event whose type matches. Returns a function that undoes it.
   * @param {string} pattern `*`, a type, or a prefix such as `analysis.*`
   * @param {(event: BrowserEvent) => void} handler
   */
  subscribe(pattern, handler) {
    if (!this.handlers.has(pattern)) this.handlers.set(pattern, new Set());
    this.handlers.get(pattern).add(handler);
    return () => this.handlers.get(pattern).delete(handler);
  }

  /**
   * Join rooms: from a cursor, since a time (milliseconds since 1970), or from now.
   * @param {string[]} rooms
   * @param {{cursor?: Cursor, since?: number}} start
   * @returns {Promise<JoinAnswer>}
   */
  async join(rooms, start = {}) {
    const answer = await this.ask('join', { rooms, ...start });
    this.rooms = new Set([...(this.rooms ?? []), ...answer.joined]);
    answer.refused.forEach((refusal) => this.onRefused(refusal));
    return answer;
  }

  /** Leave rooms. @param {string[]} rooms */
  async leave(rooms) {
    rooms.forEach((room) => this.rooms?.delete(room));
    return this.ask('leave', rooms);
  }

  /** Have the gateway send only types that match these patterns. @param {string[]} patterns */
  async only(patterns) {
    patterns.forEach((pattern) => this.patterns.add(pattern));
    return this.ask('subscribe', patterns);
  }

  /** Disconnect for good. */
  close() {
    this.socket?.disconnect();
    this.onState('closed');
  }

  async credentials(currentToken, give) {
    try {
      const token = await currentToken();
      this.rooms ??= ownRooms(token);
      give({ token, cursor: Object.keys(this.cursor).length ? this.cursor : null });
    } catch (error) {
      this.onRefused({ code: 'NO_TOKEN', message: String(error), remedy: 'Reload the page.' });
      this.onState('refused');
    }
  }

  async connected() {
    try {
      if (this.patterns.size) await this.ask('subscribe', [...this.patterns]);
      if (this.rooms.size) await this.join([...this.rooms]);
      this.onState('connected');
      this.onJoined();
    } catch (error) {
      // Without its rooms the connection is of no use: begin again, with the same cursor.
      this.socket.io.engine?.close();
    }
  }

  failed(error) {
    if (!error.data?.code) {
      this.onState('reconnecting');
      return;
    }
    this.onRefused(error.data);
    this.onState('refused');
    if (this.renewable && error.data.code === 'TOKEN_EXPIRED') {
      setTimeout(() => this.socket.connect(), RENEW_DELAY_MS);
    }
  }

  /** Ask the gateway; rejects when it refuses or does not answer. */
  ask(message, content) {
    return new Promise((resolve, reject) => {
      this.socket.timeout(ANSWER_TIMEOUT_MS).emit(message, content, (failure, answer) => {
        if (failure) return reject(failure);
        if (answer.error) {
          this.onRefused(answer.error);
          return reject(new Error(answer.error.message));
        }
        // Taken in before the next packet is read: later positions build on it.
        Object.assign(this.cursor, answer.cursor ?? {});
        return resolve(answer);
      });
    });
  }

  received(name, body) {
    if (name === 'gap') this.onGap(body.ranges);
    else if (name === 'bookmark') Object.assign(this.cursor, body.cursor);
    else if (name === 'refused') this.onRefused(body);
    else this.handleEvent(body);
  }

  /** @param {BrowserEvent} event */
  handleEvent(event) {
    const { topic, partition, epoch, offset } = event.position;
    this.cursor[`${topic}/${partition}`] = { epoch, offset: offset + 1 };
    if (!this.seen.add(event.id)) {
      this.deliveries.repeatsDropped += 1;
      return;
    }
    this.deliveries.distinct += 1;
    for (const [pattern, handlers] of this.handlers) {
      if (matches(pattern, event.type)) handlers.forEach((handler) => handler(event));
    }
  }
}

/** The rooms of a user: `system`, and the user's own. The gateway, not this, checks the token. */
function ownRooms(token) {
  const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  return new Set(['system', `user.${JSON.parse(new TextDecoder().decode(bytes)).sub}`]);
}
