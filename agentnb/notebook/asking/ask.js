// Draws one question: what there is to see, a form, and the answers. All words come as data and are set as text.

/** An element with properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const { dataset, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

const asText = value => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// What there is to see

function diffLine(line) {
  const kinds = [[/^(---|\+\+\+) /, 'file'], [/^@@/, 'hunk'], [/^\+/, 'added'], [/^-/, 'removed']];
  const kind = kinds.find(([pattern]) => pattern.test(line))?.[1] ?? '';
  return make('span', { className: kind }, line);
}

const KEYWORDS =
  'False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|' +
  'if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield';
const TOKENS = new RegExp(
  [
    `(?<string>"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\\\.|[^"\\\\\\n])*"?|'(?:\\\\.|[^'\\\\\\n])*'?)`,
    '(?<comment>#.*)',
    '(?<number>\\b\\d[\\w.]*)',
    `(?<keyword>\\b(?:${KEYWORDS})\\b)`
  ].join('|'),
  'g'
);

/** Code in colours: no character is left out, whatever it holds. */
function coloured(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(TOKENS)) {
    const kind = Object.keys(found.groups).find(name => found.groups[name] !== undefined);
    parts.push(text.slice(at, found.index), make('span', { className: kind }, found[0]));
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

function block({ kind, text, src, language }) {
  if (kind === 'image') {
    return make('img', { src, alt: text });
  }
  if (kind === 'diff') {
    return make('pre', { className: 'diff', tabIndex: 0 }, ...text.split('\n').map(diffLine));
  }
  if (kind === 'code') {
    return make('pre', { className: 'code', tabIndex: 0 }, ...(language === 'python' ? coloured(text) : [text]));
  }
  return make('pre', { tabIndex: 0 }, text);
}

// The form: a control gives the value of its field, undefined where nothing is entered, and throws words

function parsed(field, text) {
  if (field.kind === 'integer' || field.kind === 'number') {
    const value = Number(text);
    const whole = field.kind === 'integer';
    if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) {
      throw new Error(whole ? 'A whole number, please.' : 'A number, please.');
    }
    if (field.least !== null && value < field.least) {
      throw new Error(`At least ${field.least}.`);
    }
    if (field.most !== null && value > field.most) {
      throw new Error(`At most ${field.most}.`);
    }
    return value;
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`Not valid JSON: ${error.message}`);
  }
  if (field.type === 'array' && !Array.isArray(value)) {
    throw new Error('A JSON list, please: […]');
  }
  if (field.type === 'object' && (value === null || typeof value !== 'object' || Array.isArray(value))) {
    throw new Error('A JSON object, please: {…}');
  }
  return value;
}

function written(field, id) {
  const initial = field.filled && field.value !== null ? asText(field.value) : '';
  const tall = field.kind === 'multiline' || field.kind === 'json';
  const input = make(tall ? 'textarea' : 'input', { id, value: initial, spellcheck: false, autocomplete: 'off' });
  if (tall) {
    input.rows = Math.min(14, Math.max(2, initial.split('\n').length));
  } else {
    input.type = field.kind === 'secret' ? 'password' : 'text';
    input.inputMode = { integer: 'numeric', number: 'decimal' }[field.kind] ?? 'text';
  }
  const isText = ['text', 'multiline', 'secret'].includes(field.kind);
  return {
    element: input,
    input,
    touched: () => input.value !== initial,
    // No words are a value only where there must be one and there was one: else nothing was said.
    read: () => {
      if (input.value.trim() === '') {
        return isText && field.given && field.required ? input.value : undefined;
      }
      return isText ? input.value : parsed(field, input.value);
    }
  };
}

function ticked(field, id) {
  const input = make('input', { id, type: 'checkbox', checked: field.filled && field.value === true });
  const words = make('span', {}, input.checked ? 'yes' : 'no');
  let moved = false;
  input.addEventListener('change', () => {
    moved = true;
    words.textContent = input.checked ? 'yes' : 'no';
  });
  return {
    element: make('label', { className: 'tick' }, input, words),
    input,
    touched: () => moved,
    read: () => (moved || field.filled || field.required ? input.checked : undefined)
  };
}

function picked(field, id) {
  const input = make('select', { id });
  const initial = field.filled ? field.options.findIndex(option => same(option.value, field.value)) : -1;
  if (initial < 0 || !field.required) {
    input.append(make('option', { value: '' }, '–'));
  }
  field.options.forEach((option, at) => input.append(make('option', { value: String(at) }, option.label)));
  input.value = initial < 0 ? '' : String(initial);
  const before = input.value;
  return {
    element: input,
    input,
    touched: () => input.value !== before,
    read: () => (input.value === '' ? undefined : field.options[Number(input.value)].value)
  };
}

function several(field, id) {
  const chosen = field.filled && Array.isArray(field.value) ? field.value : [];
  let moved = false;
  const boxes = field.options.map((option, at) => {
    const checked = chosen.some(each => same(each, option.value));
    const box = make('input', { id: at === 0 ? id : `${id}-${at}`, type: 'checkbox', checked });
    box.addEventListener('change', () => {
      moved = true;
    });
    return box;
  });
  const labels = boxes.map((box, at) => make('label', { className: 'tick' }, box, field.options[at].label));
  return {
    element: make('div', { className: 'ticks' }, ...labels),
    input: boxes[0],
    touched: () => moved,
    read: () => field.options.filter((_, at) => boxes[at].checked).map(option => option.value)
  };
}

const CONTROLS = { boolean: ticked, choice: picked, several };

/** One field: its row, and `answer`, which says what became of it; `valid` marks what is wrong and says so. */
function row(field, id) {
  const control = (CONTROLS[field.kind] ?? written)(field, id);
  const wrong = make('div', { className: 'wrong', id: `${id}-wrong`, role: 'alert', hidden: true });
  const name = make('label', { className: 'name', htmlFor: id }, field.label);
  if (field.required) {
    name.append(make('span', { className: 'must', title: 'needed' }, ' *'));
    control.input.setAttribute('aria-required', 'true');
  }
  const cell = make('div', {}, control.element);
  if (field.description) {
    cell.append(make('div', { className: 'about', id: `${id}-about` }, field.description));
  }
  cell.append(wrong);
  control.input.setAttribute('aria-describedby', `${id}-about ${id}-wrong`);
  const say = words => {
    wrong.textContent = words;
    wrong.hidden = !words;
    control.input.setAttribute('aria-invalid', String(Boolean(words)));
  };
  const valid = () => {
    try {
      const value = control.touched() || !field.given ? control.read() : field.value;
      say(value === undefined && field.required ? 'This is needed.' : '');
      return !(value === undefined && field.required);
    } catch (error) {
      say(error.message);
      return false;
    }
  };
  // Only what was called wrong is judged again, while it is typed: a line that comes or goes when the field is left
  // would move the button from under the pointer.
  control.element.addEventListener('input', () => wrong.hidden || valid());
  const answer = (changed, cleared) => {
    if (field.given && !control.touched()) {
      return;
    }
    const value = control.read();
    if (value !== undefined) {
      changed[field.name] = value;
    } else if (field.given) {
      cleared.push(field.name);
    }
  };
  return { elements: [name, cell], input: control.input, valid, answer };
}

// The whole

let asked = 0;

function draw(model, root) {
  const question = model.get('question');
  const id = `agentnb-ask-${++asked}`;
  const rows = question.fields.map((field, at) => row(field, `${id}-${at}`));
  const form = make('div', { className: 'agentnb-ask-form' }, ...rows.flatMap(each => each.elements));
  const reason = make('input', { type: 'text', autocomplete: 'off', placeholder: 'Why? The model reads it. (optional)' });
  reason.setAttribute('aria-label', 'Reason');
  const because = make('div', { className: 'agentnb-ask-reason', hidden: true }, reason);
  const note = make('div', { className: 'agentnb-ask-note', role: 'status', hidden: true });
  // Where the first answer already takes the form, it is there from the start; else the answer that takes it opens it.
  const filling = question.choices.find(choice => choice.style === 'primary')?.fields ?? false;
  form.hidden = !filling;
  let opened = null;
  let unheard = 0;
  const say = (words, wrong) => {
    note.textContent = words;
    note.hidden = !words;
    note.classList.toggle('wrong', wrong);
  };

  const send = choice => {
    const changed = {};
    const cleared = [];
    if (choice.fields) {
      const bad = rows.find(each => !each.valid());
      if (bad) {
        rows.forEach(each => each.valid());
        bad.input.focus();
        return;
      }
      rows.forEach(each => each.answer(changed, cleared));
    }
    busy(true);
    if (!filling) {
      // An approval is taken at once; a form's button may start something long.
      unheard = setTimeout(() => say('The kernel does not answer. If it was restarted, %agent resume asks again.', true), 3000);
    }
    model.send({ type: 'reply', choice: choice.id, changed, cleared, reason: choice.reason ? reason.value : '' });
  };

  const buttons = question.choices.map(choice =>
    make('button', { type: 'button', className: choice.style, dataset: { choice: choice.id } }, choice.label)
  );
  const open = choice => {
    opened = choice;
    form.hidden = !(filling || choice?.fields);
    because.hidden = !choice?.reason;
    question.choices.forEach((each, at) => {
      const sends = each === choice;
      buttons[at].textContent = sends && each.fields && !filling ? 'Use these' : each.label;
      buttons[at].classList.toggle('primary', sends ? each.style !== 'danger' : each.style === 'primary');
      buttons[at].setAttribute('aria-expanded', String(sends));
      buttons[at].hidden = choice !== null && !sends;
    });
    back.hidden = choice === null;
    (choice?.reason ? reason : choice?.fields ? rows[0]?.input : buttons[0])?.focus();
  };
  const back = make('button', { type: 'button', className: 'plain', hidden: true }, 'Back');
  back.addEventListener('click', () => open(null));
  question.choices.forEach((choice, at) => {
    const more = choice.reason || (choice.fields && !filling);
    buttons[at].addEventListener('click', () => (more && opened !== choice ? open(choice) : send(choice)));
  });
  reason.addEventListener('keydown', event => {
    if (event.key === 'Enter' && opened) {
      send(opened);
    }
  });

  const controls = () => root.querySelectorAll('button, input, textarea, select');
  const busy = on => controls().forEach(each => Object.assign(each, { disabled: on }));
  const show = () => {
    const state = model.get('state');
    clearTimeout(unheard);
    busy(false);
    say(state.note, state.wrong);
    if (opened) {
      open(null);
    }
  };

  root.append(
    make('div', { className: 'agentnb-ask-title', id }, make('span', { ariaHidden: 'true' }, '?'), make('span', {}, question.title)),
    make('div', { className: 'agentnb-ask-body' }, ...question.body.map(block)),
    form,
    because,
    make('div', { className: 'agentnb-ask-buttons' }, ...buttons, back),
    note
  );
  root.addEventListener('keydown', event => {
    if (event.key === 'Escape' && opened) {
      open(null);
    }
  });
  root.setAttribute('role', 'group');
  root.setAttribute('aria-labelledby', id);
  // A key pressed here is for this form, not for the notebook around it.
  root.dataset.lmSuppressShortcuts = 'true';
  model.on('change:state', show);
  show();
  if (!filling) {
    // The second click of a double click, meant for the question before, must not answer this one.
    root.classList.add('fresh');
    buttons.forEach(each => Object.assign(each, { disabled: true }));
    setTimeout(() => {
      root.classList.remove('fresh');
      buttons.forEach(each => Object.assign(each, { disabled: false }));
    }, 400);
  }
  return () => model.off('change:state', show);
}

export default {
  initialize({ model }) {
    model.send({ type: 'loaded' });
  },
  render({ model, el }) {
    const root = make('div', { className: 'agentnb-ask' });
    el.append(root);
    const leave = draw(model, root);
    model.send({ type: 'ready' });
    return leave;
  }
};
