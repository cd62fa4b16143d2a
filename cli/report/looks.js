'use strict';
/* Sections that a race and a training share: filters beside their responses, examples, how to do it again. */

/* Mixes two colours of the style sheet; part is 0 to 1. */
function rgbOf(name) {
  const hex = styleOf(name).slice(1);
  return [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16));
}
const mix = (from, to, part) => from.map((value, i) => Math.round(value + (to[i] - value) * part));

/* A small picture: colourOf(i) gives red, green, blue of value i. Each value is a square of pixels, or a printer would blur it. */
function picture(width, height, colourOf) {
  const zoom = Math.ceil(96 / Math.max(width, height)), canvas = element('canvas', {width: width * zoom, height: height * zoom, 'aria-hidden': 'true'});
  const context = canvas.getContext('2d');
  painted(() => {
    const image = context.createImageData(width * zoom, height * zoom), pixel = colourOf();
    const colours = Array.from({length: width * height}, (_, i) => [...pixel(i), 255]);
    for (let y = 0, at = 0; y < height * zoom; y++)
      for (let x = 0; x < width * zoom; x++, at += 4) image.data.set(colours[Math.floor(y / zoom) * width + Math.floor(x / zoom)], at);
    context.putImageData(image, 0, 0);
  });
  return canvas;
}

const peakOf = values => values.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);

/* Taps: zero has the colour of the page, each filter its own scale. */
function tapsPicture(values, width, height) {
  const peak = peakOf(values) || 1;
  return picture(width, height, () => {
    const zero = rgbOf('--zero'), plus = rgbOf('--plus'), minus = rgbOf('--minus');
    return i => mix(zero, values[i] < 0 ? minus : plus, Math.abs(values[i]) / peak);
  });
}

/* A response, no change in the middle: rows of the file are 0 .. 1/2 cycles a pixel, the other half is its mirror image. */
function responsePicture(values, rows, columns) {
  const peak = peakOf(values) || 1, half = columns / 2, side = columns + 1;
  return picture(side, side, () => {
    const zero = rgbOf('--zero'), strong = rgbOf('--strong');
    return i => {
      let u = Math.floor(i / side) - half, v = i % side - half;
      if (u < 0) [u, v] = [-u, -v];
      return mix(zero, strong, values[u * columns + (v + columns) % columns] / peak);
    };
  });
}

/* The filters of one network: a row of taps, a row of responses. */
function bank(title, look, most) {
  const tiles = element('div', {class: 'tiles'}), notes = [], shape = look.filters ? look.filters.shape : look.response.shape, filters = Math.min(shape[0], most);
  tiles.style.setProperty('--tiles', filters);
  if (look.filters) {
    const [, channels, height, width] = shape, values = floatsOf(look.filters.values), each = height * width;
    for (let f = 0; f < filters; f++) tiles.append(tapsPicture(values.subarray(f * channels * each, f * channels * each + each), width, height));
    notes.push(`${plural(shape[0], 'filter')} of ${height}×${width}` + (channels > 1 ? `, the first of ${channels} channels` : ''));
  }
  if (look.response) {
    const [, rows, columns] = look.response.shape, values = floatsOf(look.response.values), each = rows * columns;
    for (let f = 0; f < filters; f++) tiles.append(responsePicture(values.subarray(f * each, (f + 1) * each), rows, columns));
    const brightness = Math.max(...Array.from({length: look.response.shape[0]}, (_, f) => values[f * each] / (peakOf(values.subarray(f * each, (f + 1) * each)) || 1)));
    notes.push(`passes ${brightness < 1e-5 ? 'no' : short(brightness * 100) + ' % of'} brightness`);
  }
  const note = notes.join('; ');
  return element('figure', {class: 'bank', 'aria-label': `${title}: ${note}`},
    element('figcaption', {}, element('b', {}, title), element('span', {}, note)), tiles);
}

function filterSection(looks, words) {
  const shown = looks.filter(look => look.filters || look.response);
  if (!shown.length) return;
  section('filters', 'The filters that were learned',
    element('p', {class: 'quiet'}, words, ' Above, the taps: blue is positive, orange negative, each filter on its own scale. Below, what the filter answers to waves of each frequency, ' +
      'from an even area in the middle to the finest stripes at the edge; the darker (on a dark page: the lighter) the stronger.'),
    element('div', {class: 'banks'}, ...shown.map(look => bank(look.title, look, shown.length > 1 ? 8 : 16))));
}

function examplePicture(examples, index) {
  const {width, height, channels} = examples, size = width * height * channels;
  const bytes = examples.bytes.subarray(index * size, (index + 1) * size);
  return picture(width, height, () => i => channels === 3 ? [bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]] : [bytes[i], bytes[i], bytes[i]]);
}

/* A strip of examples a class; the answers are those of the network that is chosen. */
function exampleSection(examples, looks, words) {
  if (!examples || !examples.labels.length) return;
  examples.bytes = bytesOf(examples.pixels);
  const answers = examples.labels.map(() => element('span', {}));
  function say(look) {
    answers.forEach((answer, i) => {
      const right = look.says[i] === examples.labels[i];
      answer.className = right ? 'right' : 'wrong';
      answer.textContent = `${right ? '✓' : '✗'} ${examples.classes[look.says[i]]}, ${Math.round(look.sure[i] * 100)}\u00a0%`;
    });
    const right = look.says.filter((said, i) => said === examples.labels[i]).length;
    score.textContent = `${right} of these ${look.says.length} are right.`;
  }
  const score = element('span', {class: 'quiet', role: 'status'});
  const choice = element('select', {onchange: () => say(looks[choice.selectedIndex])}, ...looks.map(look => element('option', {}, look.title)));
  const strips = examples.classes.map((name, label) => element('div', {class: 'class'}, element('h3', {}, name),
    element('ul', {class: 'strip'}, ...examples.labels.flatMap((of, i) => of !== label ? [] : [element('li', {}, examplePicture(examples, i), answers[i])]))))
    .filter(strip => strip.querySelector('li'));
  section('examples', 'What a network says', element('p', {class: 'quiet'}, words),
    element('div', {class: 'controls'}, looks.length > 1 ? element('label', {}, 'Network of ', choice) : null, score),
    element('div', {class: 'examples'}, ...strips));
  say(looks[0]);
}

function reproduceSection(rows, words) {
  const command = element('code', {id: 'command'}, data.command);
  const copy = element('button', {type: 'button', onclick: async () => {
    try {
      await navigator.clipboard.writeText(data.command);
      copy.textContent = 'Copied';
    } catch { /* a page from a file may not: the words are marked, to be copied by hand */
      getSelection().selectAllChildren(command);
      copy.textContent = 'Marked';
    }
  }}, 'Copy');
  const pairs = [...rows, ...data.facts].filter(([, value]) => value != null);
  section('again', 'How to do it again', element('p', {class: 'quiet'}, words),
    element('div', {class: 'card command'}, element('pre', {}, command), copy),
    element('dl', {}, ...pairs.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, String(value))])));
}
