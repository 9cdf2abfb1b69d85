// Sends files to the kernel in pieces of 1 MiB, each with its checksum, and draws how far they are. A piece is answered
// before the next one of its chunk goes: a kernel that is busy answers later, and nothing piles up on its way.

const PIECE = 1024 * 1024;
/** Files that are sent at the same time; milliseconds after which a kernel that does not answer is called busy. */
const AT_ONCE = 2;
const BUSY = 1500;

/** An element with properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, start) => {
  let value = start;
  for (let bit = 0; bit < 8; bit++) {
    value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) {
    value = TABLE[(value ^ bytes[at]) & 0xff] ^ (value >>> 8);
  }
  return (value ^ 0xffffffff) >>> 0;
}

function size(count) {
  if (count < 1000) {
    return `${count} byte${count === 1 ? '' : 's'}`;
  }
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** What the kernel could not do; `code` is its word for it. */
class Refused extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/** Asks the kernel, which answers in its own time. */
class Link {
  constructor(model, changed) {
    this.model = model;
    this.changed = changed;
    this.next = 0;
    this.waiting = new Map();
    model.on('msg:custom', message => this.receive(message));
  }

  ask(message, ...buffers) {
    const id = ++this.next;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.waiting.get(id).late = true;
        this.changed();
      }, BUSY);
      this.waiting.set(id, { resolve, reject, timer: late, late: false });
      try {
        this.model.send({ id, ...message }, undefined, buffers);
      } catch {
        clearTimeout(late);
        this.waiting.delete(id);
        reject(new Error('The kernel is gone. Run the cell again and choose the file again.'));
      }
    });
  }

  receive(message) {
    const asked = this.waiting.get(message.to);
    if (asked) {
      this.waiting.delete(message.to);
      clearTimeout(asked.timer);
      message.code ? asked.reject(new Refused(message)) : asked.resolve(message);
      if (asked.late) {
        this.changed();
      }
    }
  }

  get busy() {
    return [...this.waiting.values()].some(asked => asked.late);
  }
}

/** All files of one widget, whichever view shows them. An item's `turn` changes when what was begun for it is void. */
class Transfers {
  constructor(model) {
    this.items = [];
    this.views = new Set();
    this.link = new Link(model, () => this.draw());
  }

  draw() {
    this.views.forEach(view => view());
  }

  add(files) {
    for (const file of files) {
      const same = item => item.file.name === file.name && item.file.size === file.size && !['done', 'cancelled'].includes(item.state);
      if (!this.items.some(same)) {
        this.items.push({ file, state: 'waiting', turn: 0, chunks: [], upload: null, note: '' });
      }
    }
    this.advance();
  }

  advance() {
    let room = AT_ONCE - this.items.filter(item => item.state === 'running').length;
    for (const item of this.items) {
      if (room > 0 && item.state === 'waiting') {
        room -= 1;
        this.send(item);
      }
    }
    this.draw();
  }

  async send(item) {
    const turn = ++item.turn;
    const current = () => item.turn === turn && item.state === 'running';
    item.state = 'running';
    item.note = '';
    try {
      await this.begin(item);
      const queue = item.chunks.filter(chunk => chunk.received < chunk.size);
      const worker = async () => {
        for (let chunk = queue.shift(); chunk && current(); chunk = queue.shift()) {
          await this.chunk(item, chunk, current);
        }
      };
      await Promise.all(Array.from({ length: Math.max(1, item.threads) }, worker));
      if (current()) {
        const done = await this.link.ask({ type: 'complete', upload: item.upload });
        item.state = 'done';
        item.note = done.path;
      }
    } catch (error) {
      if (current()) {
        item.state = 'failed';
        item.note = error.message || String(error);
        if (['UPLOAD_NOT_FOUND', 'UPLOAD_CANCELLED'].includes(error.code)) {
          item.upload = null;
        }
      }
    }
    this.advance();
  }

  /** What is there already, by the kernel's word. */
  async begin(item) {
    const { name, size, lastModified } = item.file;
    if (item.upload) {
      const { received } = await this.link.ask({ type: 'status', upload: item.upload });
      item.chunks.forEach((chunk, at) => Object.assign(chunk, { received: received[at] }));
      return;
    }
    const plan = await this.link.ask({ type: 'init', name, size, modified: lastModified });
    Object.assign(item, { upload: plan.upload, chunks: plan.chunks, threads: plan.threads });
    if (item.state === 'cancelled') {
      this.link.ask({ type: 'cancel', upload: item.upload }).catch(() => {});
    }
  }

  async chunk(item, chunk, current) {
    while (current() && chunk.received < chunk.size) {
      const start = chunk.offset + chunk.received;
      const end = Math.min(start + PIECE, chunk.offset + chunk.size);
      let bytes;
      try {
        bytes = new Uint8Array(await item.file.slice(start, end).arrayBuffer());
      } catch {
        throw new Error('The file cannot be read any more. Choose it again.');
      }
      if (!current()) {
        return;
      }
      const piece = { type: 'piece', upload: item.upload, chunk: chunk.id, offset: chunk.received, crc: crc32(bytes) };
      const { received } = await this.link.ask(piece, bytes.buffer);
      chunk.received = received;
      this.draw();
    }
  }

  pause(item) {
    item.state = 'paused';
    this.advance();
  }

  resume(item) {
    item.state = 'waiting';
    this.advance();
  }

  cancel(item) {
    item.state = 'cancelled';
    item.note = '';
    if (item.upload) {
      this.link.ask({ type: 'cancel', upload: item.upload }).catch(() => {});
    }
    this.advance();
  }

  get unfinished() {
    return this.items.some(item => ['running', 'waiting', 'paused'].includes(item.state));
  }
}

const BUTTONS = {
  waiting: ['Cancel'],
  running: ['Pause', 'Cancel'],
  paused: ['Resume', 'Cancel'],
  failed: ['Retry', 'Cancel'],
  done: [],
  cancelled: []
};

function words(item, busy) {
  const sent = item.chunks.reduce((sum, chunk) => sum + chunk.received, 0);
  const far = `${size(sent)} of ${size(item.file.size)}`;
  switch (item.state) {
    case 'waiting':
      return `${size(item.file.size)} · waits for its turn`;
    case 'running':
      return busy ? `${far} · the kernel is busy; it goes on when it is free. If it was restarted, run the cell again.` : far;
    case 'paused':
      return `${far} · paused`;
    case 'failed':
      return item.note;
    case 'done':
      return `${size(item.file.size)} · saved as ${item.note}`;
    default:
      return 'cancelled';
  }
}

/** One file: its name, how far it is, and what can be done about it. */
function row(transfers, item) {
  const fill = make('div', { className: 'fill' });
  const bar = make('div', { className: 'bar', role: 'progressbar', ariaValueMin: '0', ariaValueMax: '100' }, fill);
  bar.setAttribute('aria-label', item.file.name);
  const note = make('div', { className: 'note', role: 'status' });
  const actions = { Pause: 'pause', Resume: 'resume', Retry: 'resume', Cancel: 'cancel' };
  const buttons = Object.entries(actions).map(([name, action]) => {
    const button = make('button', { type: 'button', className: name === 'Cancel' ? 'plain' : '' }, name);
    button.setAttribute('aria-label', `${name} ${item.file.name}`);
    button.addEventListener('click', () => transfers[action](item));
    return button;
  });
  const element = make(
    'div',
    { className: 'file' },
    make('div', { className: 'head' }, make('span', { className: 'name' }, item.file.name), ...buttons),
    bar,
    note
  );
  const draw = () => {
    const sent = item.chunks.reduce((sum, chunk) => sum + chunk.received, 0);
    const part = item.state === 'done' ? 1 : item.file.size ? sent / item.file.size : 0;
    element.dataset.state = item.state;
    fill.style.width = `${part * 100}%`;
    bar.ariaValueNow = String(Math.round(part * 100));
    const said = words(item, transfers.link.busy);
    if (note.textContent !== said) {
      note.textContent = said;
    }
    buttons.forEach(button => {
      button.hidden = !BUTTONS[item.state].includes(button.textContent);
    });
  };
  return { element, draw };
}

function show(transfers, where, root) {
  const input = make('input', { type: 'file', multiple: true, hidden: true });
  const choose = make('button', { type: 'button', className: 'primary' }, 'Choose files');
  const drop = make('div', { className: 'drop' }, choose, make('span', {}, 'or drop them here. They go to '), make('code', {}, where));
  const list = make('div', { className: 'list' });
  const rows = new Map();
  choose.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    transfers.add([...input.files]);
    input.value = '';
  });
  const over = on => event => {
    event.preventDefault();
    event.stopPropagation();
    drop.classList.toggle('over', on);
  };
  drop.addEventListener('dragenter', over(true));
  drop.addEventListener('dragover', over(true));
  drop.addEventListener('dragleave', over(false));
  drop.addEventListener('drop', event => {
    over(false)(event);
    // A folder has no bytes of its own: only plain files are taken.
    const dropped = [...event.dataTransfer.items].filter(each => each.kind === 'file' && !each.webkitGetAsEntry?.()?.isDirectory);
    transfers.add(dropped.map(each => each.getAsFile()).filter(Boolean));
  });
  const draw = () => {
    for (const item of transfers.items) {
      if (!rows.has(item)) {
        rows.set(item, row(transfers, item));
        list.append(rows.get(item).element);
      }
      rows.get(item).draw();
    }
  };
  const leaving = event => transfers.unfinished && event.preventDefault();
  window.addEventListener('beforeunload', leaving);
  // A key pressed here is for this form, not for the notebook around it.
  root.dataset.lmSuppressShortcuts = 'true';
  root.append(drop, input, list);
  transfers.views.add(draw);
  draw();
  return () => {
    transfers.views.delete(draw);
    window.removeEventListener('beforeunload', leaving);
  };
}

// A function: what it keeps is of one widget, and outlives its views.
export default () => {
  let transfers = null;
  return {
    initialize({ model }) {
      transfers = new Transfers(model);
    },
    render({ model, el }) {
      transfers ??= new Transfers(model);
      const root = make('div', { className: 'agentnb-upload' });
      el.append(root);
      return show(transfers, model.get('where'), root);
    }
  };
};
