'use strict';
/* What every part of the page uses: elements, numbers, colours. */

const data = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('main');

/* element('p', {class: 'quiet'}, 'text', child, ...): attributes that begin with 'on' are listeners. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter(child => child != null));
  return made;
}

function section(id, title, ...children) {
  const made = element('section', {'aria-labelledby': id}, element('h2', {id}, title), ...children);
  page.append(made);
  return made;
}

const missing = '–';
const isNumber = value => typeof value === 'number' && Number.isFinite(value);
const fixed = (value, digits) => !isNumber(value) ? missing : Math.abs(value) < 1e5 ? value.toFixed(digits) : value.toExponential(digits);
const percent = (value, digits = 1) => isNumber(value) ? (value * 100).toFixed(digits) + ' %' : missing;
const short = value => isNumber(value) ? String(+value.toPrecision(2)) : missing;
/* An exact residual: 0 is said in full, all else as a power of ten. */
const residual = value => !isNumber(value) ? missing : value === 0 ? '0' : value.toExponential(1);
const list = words => words.length < 2 ? words.join('') : words.slice(0, -1).join(', ') + ' and ' + words[words.length - 1];
const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
const floatsOf = base64 => new Float32Array(bytesOf(base64).buffer);

/* Colours live in the style sheet, which knows light, dark and paper. What draws them itself is told when they change. */
const styleOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const painters = [];
function painted(draw) {
  painters.push(draw);
  draw();
}
const repaint = () => painters.forEach(draw => draw());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
matchMedia('print').addEventListener('change', repaint);

/* A hue a method; variants of one (a number or a rule of its own) share it and differ in their dashes. */
const hues = {
  none: [0, 0], penalty: [28, 38], projection: [32, 88], difference: [0, -1], centred: [50, 70], orthonormal: [68, 55], pivot: [95, 40], spectral: [212, 75],
  whitened: [176, 75], 'whitened-full': [190, 60], dct: [262, 50], 'image-mean': [300, 30], 'local-mean': [322, 55], laplacian: [352, 65],
  gradients: [16, 55], 'weight-standardization': [130, 30], 'gradient-centralization': [150, 35],
};
const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const baseName = method => method.split(/[(:]/)[0];

function colour(method, alpha = 1) {
  const [hue, strength] = hues[baseName(method)] || [240, 20];
  if (strength < 0) return alpha === 1 ? styleOf('--ink') : `hsl(0 0% 50% / ${alpha})`;
  return `hsl(${hue} ${strength}% ${styleOf('--light')} / ${alpha})`;
}

function dash(method, methods) {
  const alike = methods.filter(other => baseName(other) === baseName(method)).sort();
  return dashes[alike.indexOf(method) % dashes.length];
}

function paintedSwatch(method) {
  const swatch = element('span', {class: 'swatch', 'aria-hidden': 'true'});
  painted(() => { swatch.style.background = colour(method); });
  return swatch;
}

/* A table whose headings sort. columns: {title, label(row), value(row), help}; the first column heads its row. */
function sortableTable(caption, columns, rows, classOf = () => null) {
  const body = element('tbody'), heads = [];
  const fill = order => body.replaceChildren(...order.map(row => element('tr', {class: classOf(row)}, ...columns.map((column, i) =>
    element(i ? 'td' : 'th', i ? {} : {scope: 'row'}, column.label(row))))));
  function sortBy(index) {
    const column = columns[index], head = heads[index];
    const up = head.getAttribute('aria-sort') !== 'ascending';
    heads.forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const compare = (a, b) => typeof a === 'string' ? a.localeCompare(b) : a - b;
    const known = rows.filter(row => column.value(row) != null), unknown = rows.filter(row => column.value(row) == null);
    known.sort((a, b) => (up ? 1 : -1) * compare(column.value(a), column.value(b)));
    fill([...known, ...unknown]); /* what has no value is last either way */
  }
  columns.forEach((column, i) => heads.push(element('th', {scope: 'col', title: column.help},
    element('button', {type: 'button', onclick: () => sortBy(i)}, column.title))));
  fill(rows);
  return element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
    element('table', {'aria-label': caption}, element('thead', {}, element('tr', {}, ...heads)), body));
}
