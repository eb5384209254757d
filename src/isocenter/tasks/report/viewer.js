// The viewer of a report: values in, pictures out. It reads what lies in the page and nothing else;
// without it, or where a browser cannot inflate, the page keeps its plain pictures.
"use strict";
(() => {
  const root = document.getElementById("viewer");
  if (!root || !("DecompressionStream" in window)) return;

  const spec = JSON.parse(document.getElementById("viewer-settings").textContent);
  const layers = new Map(spec.layers.map((layer) => [layer.key, layer]));
  const grays = spec.layers.filter((layer) => !layer.colors).map((layer) => layer.key);
  const find = (selector) => root.querySelector(selector);
  const all = (selector) => [...root.querySelectorAll(selector)];
  const stage = find(".stage");
  const canvas = find(".stage canvas");
  const context = canvas.getContext("2d", { alpha: false });

  const state = { stack: 0, mode: spec.start, low: 0, high: 1, split: 0.5, ring: null };
  const views = spec.stacks.map((stack) => ({ frame: stack.start, zoom: 1, x: 0, y: 0 }));
  const view = () => views[state.stack];
  const stackNow = () => spec.stacks[state.stack];
  const frameNow = () => stackNow().frames[view().frame];
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // Values: 16 bits each, high bytes then low bytes, of what the neighbors did not foretell.

  async function inflated(id) {
    const text = document.getElementById(id).textContent.trim();
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function restored(bytes, columns) {
    const size = bytes.length / 2;
    const values = new Int16Array(size);
    for (let i = 0; i < size; i++) {
      const first = i % columns === 0;
      const left = first ? 0 : values[i - 1];
      const up = i < columns ? 0 : values[i - columns];
      const corner = first || i < columns ? 0 : values[i - columns - 1];
      const foretold = clamp(left + up - corner, Math.min(left, up), Math.max(left, up));
      const coded = (bytes[i] << 8) | bytes[size + i];
      values[i] = foretold + ((coded >>> 1) ^ -(coded & 1));
    }
    return values;
  }

  // The newest entries of what is costly to make.
  function remembering(most, make) {
    const kept = new Map();
    return (...key) => {
      const name = key.join("/");
      const value = kept.get(name) ?? make(...key);
      kept.delete(name);
      kept.set(name, value);
      if (kept.size > most) kept.delete(kept.keys().next().value);
      return value;
    };
  }

  const storedValues = remembering(40, async (stack, frame, key) => {
    const { shape, steps } = spec.stacks[stack].frames[frame];
    const whole = restored(await inflated(`plane-${stack}-${frame}-${key}`), shape[1]);
    return Float32Array.from(whole, (value) => value * steps[key]);
  });

  async function valuesOf(stack, frame, key) {
    const [first, second] = await Promise.all(
      layers.get(key).of.map((part) => storedValues(stack, frame, part)),
    );
    return second ? first.map((value, i) => value - second[i]) : first;
  }

  // Pictures: values through a window or a palette, at the resolution of the scan.

  const palettes = new Map(
    Object.entries(spec.palettes).map(([name, text]) => [
      name,
      Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
    ]),
  );

  function scaleOf(key) {
    const { colors, low, high } = layers.get(key);
    return colors ? { colors, low, high } : { colors: "gray", low: state.low, high: state.high };
  }

  const pictureOf = remembering(24, async (stack, frame, key, low, high) => {
    const values = await valuesOf(stack, frame, key);
    const [rows, columns] = spec.stacks[stack].frames[frame].shape;
    const palette = palettes.get(scaleOf(key).colors);
    const picture = document.createElement("canvas");
    picture.width = columns;
    picture.height = rows;
    const ink = picture.getContext("2d");
    const image = ink.createImageData(columns, rows);
    const gain = 255 / (high - low);
    for (let i = 0; i < values.length; i++) {
      const level = 3 * Math.round(clamp((values[i] - low) * gain, 0, 255));
      image.data[4 * i] = palette[level];
      image.data[4 * i + 1] = palette[level + 1];
      image.data[4 * i + 2] = palette[level + 2];
      image.data[4 * i + 3] = 255;
    }
    ink.putImageData(image, 0, 0);
    return picture;
  });

  function pictureNow(key) {
    const { low, high } = scaleOf(key);
    return pictureOf(state.stack, view().frame, key, low, high);
  }

  // Where things lie on the stage, in CSS pixels.

  function shownKeys() {
    return state.mode === "swipe" || state.mode === "side" ? grays.slice(0, 2) : [state.mode];
  }

  function boxes() {
    const { clientWidth: width, clientHeight: height } = stage;
    if (state.mode === "side") {
      const half = width >= height ? [width / 2, height] : [width, height / 2];
      const second = width >= height ? [width / 2, 0] : [0, height / 2];
      return [
        { x: 0, y: 0, width: half[0], height: half[1] },
        { x: second[0], y: second[1], width: half[0], height: half[1] },
      ];
    }
    return shownKeys().map(() => ({ x: 0, y: 0, width, height }));
  }

  function placed(box) {
    const frame = frameNow();
    const [top, left, bottom, right] = stackNow().focus;
    const [down, across] = frame.spacing;
    const fit = Math.min(box.width / ((right - left) * across), box.height / ((bottom - top) * down));
    const scale = fit * view().zoom;
    const middleX = ((left + right) / 2) * across + view().x;
    const middleY = ((top + bottom) / 2) * down + view().y;
    return {
      scale,
      left: box.x + box.width / 2 - middleX * scale,
      top: box.y + box.height / 2 - middleY * scale,
      width: frame.shape[1] * across * scale,
      height: frame.shape[0] * down * scale,
    };
  }

  function pixelAt(x, y) {
    const inside = boxes().find(
      (box) => x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height,
    );
    if (!inside) return null;
    const place = placed(inside);
    const frame = frameNow();
    const row = Math.floor((y - place.top) / place.scale / frame.spacing[0]);
    const column = Math.floor((x - place.left) / place.scale / frame.spacing[1]);
    const found = row >= 0 && column >= 0 && row < frame.shape[0] && column < frame.shape[1];
    return found ? { row, column } : null;
  }

  // Drawing

  let asked = false;
  let turn = 0;

  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      refresh();
    });
  }

  async function refresh() {
    const mine = ++turn;
    try {
      const pictures = await Promise.all(shownKeys().map(pictureNow));
      if (mine === turn) paint(pictures);
    } catch {
      sayDamaged();
    }
  }

  function sayDamaged() {
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    find(".readout").textContent = "This page is damaged: its values do not add up. Get it again.";
  }

  function paint(pictures) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = stage;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const split = Math.round(state.split * width);
    boxes().forEach((box, number) => {
      const clip = { ...box };
      if (state.mode === "swipe") {
        clip.x = number ? split : 0;
        clip.width = number ? width - split : split;
      }
      paintPicture(pictures[number], box, clip, ratio);
      paintWords(shownKeys()[number], box, clip, number);
    });
    if (state.mode === "swipe") paintDivider(split, height);
    const framed = state.mode === "swipe" ? boxes().slice(0, 1) : boxes();
    framed.forEach(paintFrame);
    const heading = { align: "right", weight: 400, color: "#b9c4ce" };
    write(frameNow().heading, width - 12, height - 16, heading);
  }

  function paintPicture(picture, box, clip, ratio) {
    const place = placed(box);
    context.save();
    context.beginPath();
    context.rect(clip.x, clip.y, clip.width, clip.height);
    context.clip();
    // Single pixels are seen as such only where each is several pixels of the screen wide.
    context.imageSmoothingEnabled = (place.width * ratio) / picture.width < 6;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, place.left, place.top, place.width, place.height);
    paintLines(place);
    paintRing(place);
    context.restore();
  }

  function paintLines(place) {
    const frame = frameNow();
    frame.lines.forEach((row, number) => {
      const y = Math.round(place.top + (row + 0.5) * frame.spacing[0] * place.scale) + 0.5;
      const here = number === views[0].frame;
      context.strokeStyle = here ? "rgba(255,213,74,.9)" : "rgba(255,213,74,.28)";
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(place.left, y);
      context.lineTo(place.left + (here ? place.width : 10), y);
      context.stroke();
    });
  }

  function paintRing(place) {
    const ring = state.ring;
    if (!ring || ring.stack !== state.stack || ring.frame !== view().frame) return;
    const [down, across] = frameNow().spacing;
    const x = place.left + (ring.at[1] + 0.5) * across * place.scale;
    const y = place.top + (ring.at[0] + 0.5) * down * place.scale;
    context.strokeStyle = "#ffd54a";
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x, y, Math.max(12, spec.ring_mm * place.scale), 0, 2 * Math.PI);
    context.stroke();
  }

  function write(text, x, y, { color = "#e8edf2", align = "left", weight = 600, size = 12 } = {}) {
    context.font = `${weight} ${size}px system-ui, "Liberation Sans", "DejaVu Sans", sans-serif`;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = "rgba(0,0,0,.85)";
    context.strokeText(text, x, y);
    context.fillStyle = color;
    context.fillText(text, x, y);
  }

  function paintWords(key, box, clip, number) {
    const layer = layers.get(key);
    const second = state.mode === "swipe" && number === 1;
    const x = second ? box.x + box.width - 12 : box.x + 12;
    const align = second ? "right" : "left";
    context.save();
    context.beginPath();
    context.rect(clip.x, clip.y, clip.width, clip.height);
    context.clip();
    write(layer.name, x, box.y + 18, { size: 15, align });
    write(captionOf(key), x, box.y + 37, { weight: 400, align, color: "#b9c4ce" });
    markLines(layer.mark, clip.width - 20).forEach((line, place) => {
      write(line, x, box.y + 56 + 15 * place, { align, color: "#ff9f6b", size: 11 });
    });
    context.restore();
  }

  // On one line, or where that is too wide, part by part.
  function markLines(mark, width) {
    if (!mark) return [];
    context.font = '600 11px system-ui, "Liberation Sans", "DejaVu Sans", sans-serif';
    return context.measureText(mark).width <= width ? [mark] : mark.split(" · ");
  }

  function paintFrame(box) {
    const [left, right, top, bottom] = frameNow().sides;
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const yellow = { color: "#ffd54a", align: "center", size: 13 };
    write(left, box.x + 14, middle.y, yellow);
    write(right, box.x + box.width - 14, middle.y, yellow);
    const beside = state.mode === "swipe" ? middle.x + 16 : middle.x;
    write(top, beside, box.y + 15, yellow);
    write(bottom, beside, box.y + box.height - 14, yellow);
    paintScaleBar(box);
  }

  function captionOf(key) {
    const layer = layers.get(key);
    if (layer.colors) return layer.caption;
    const center = Math.round((state.low + state.high) / 2);
    return `C ${said(center, "")} W ${Math.round(state.high - state.low)} ${spec.unit}`;
  }

  function paintScaleBar(box) {
    const { scale } = placed(box);
    const lengths = [1, 2, 5, 10, 20, 50, 100].filter((mm) => mm * scale <= 0.28 * box.width);
    const length = lengths.at(-1) ?? 1;
    const x = box.x + 14;
    const y = box.y + box.height - 16;
    for (const [color, width] of [["rgba(0,0,0,.85)", 4], ["#e8edf2", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x, y - 5);
      context.lineTo(x, y);
      context.lineTo(x + length * scale, y);
      context.lineTo(x + length * scale, y - 5);
      context.stroke();
    }
    write(`${length} mm`, x + (length * scale) / 2, y - 11, { align: "center", size: 11 });
  }

  function paintDivider(split, height) {
    context.fillStyle = "#ffd54a";
    context.fillRect(split - 1, 0, 2, height);
    context.beginPath();
    const y = 0.82 * height; // below what is looked at first
    context.arc(split, y, 13, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#14181d";
    context.font = "700 14px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("‹ ›", split, y);
  }

  // What stands beside the stage

  function said(value, sign, digits = 0) {
    const text = Math.abs(value).toFixed(digits);
    const zero = Number(text) === 0;
    if (sign === "±") return zero ? text : `± ${text}`;
    return (zero ? "" : value < 0 ? "−" : sign) + text;
  }

  function update() {
    for (const button of all("[data-mode]")) press(button, button.dataset.mode === state.mode);
    for (const button of all("[data-stack]")) press(button, +button.dataset.stack === state.stack);
    for (const button of all("[data-window]")) {
      const { low, high } = spec.windows[button.dataset.window];
      press(button, low === state.low && high === state.high);
    }
    const slider = find("[data-frame]");
    slider.max = stackNow().frames.length - 1;
    slider.value = view().frame;
    slider.disabled = stackNow().frames.length === 1;
    slider.setAttribute("aria-valuetext", frameNow().heading);
    find(".heading").textContent = frameNow().heading;
    find(".split").hidden = state.mode !== "swipe";
    find("[data-split]").value = Math.round(100 * state.split);
    find("[data-center]").value = Math.round((state.low + state.high) / 2);
    find("[data-width]").value = Math.round(state.high - state.low);
    stage.setAttribute("aria-label", shownKeys().map((key) => layers.get(key).name).join(" and "));
    stage.style.touchAction = view().zoom > 1.01 ? "none" : "pan-y";
    updateBar();
    updateReadout();
    ask();
  }

  function press(button, on) {
    button.setAttribute("aria-pressed", on);
  }

  function updateBar() {
    const key = shownKeys()[0];
    const { colors, low, high } = scaleOf(key);
    const { name, sign, caption, colors: colored } = layers.get(key);
    const palette = palettes.get(colors);
    const bar = find(".colors canvas");
    const ink = bar.getContext("2d");
    for (let i = 0; i < 256; i++) {
      ink.fillStyle = `rgb(${palette.slice(3 * i, 3 * i + 3).join()})`;
      ink.fillRect(i, 0, 1, 1);
    }
    const marks = [low, (low + high) / 2, high].map((value) => said(value, sign));
    all(".colors .ticks span").forEach((tick, number) => {
      tick.textContent = number === 2 ? `${marks[2]} ${spec.unit}` : marks[number];
    });
    find(".colors .of").textContent = colored ? `${name}: ${caption}` : "Before and after";
  }

  let pointed = null;

  async function updateReadout() {
    const readout = find(".readout");
    const pixel = pointed && pixelAt(...pointed);
    if (!pixel) {
      readout.textContent = spec.hint;
      return;
    }
    const { stack } = state;
    const { frame } = view();
    const at = pixel.row * frameNow().shape[1] + pixel.column;
    const parts = await Promise.all(
      spec.layers.map(async ({ key, name, sign, digits }) => {
        const value = (await valuesOf(stack, frame, key))[at];
        return `${name} ${said(value, sign, digits)}`;
      }),
    );
    const place = `row ${pixel.row + 1}, column ${pixel.column + 1}`;
    readout.textContent = `${place}:  ${parts.join("  ·  ")}  ${spec.unit}`;
  }

  // What a reader can do

  function setMode(mode) {
    state.mode = mode;
    update();
  }

  function setFrame(number) {
    view().frame = clamp(number, 0, stackNow().frames.length - 1);
    update();
  }

  function setStack(number) {
    state.stack = number;
    update();
  }

  function setWindow(low, high) {
    state.low = low;
    state.high = Math.max(low + 1, high);
    update();
  }

  function setSplit(share) {
    state.split = clamp(share, 0, 1);
    update();
  }

  function zoomBy(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const box = boxes().find((one) => x <= one.x + one.width && y <= one.y + one.height);
    const before = placed(box ?? boxes()[0]);
    const now = view();
    now.zoom = clamp(now.zoom * factor, 0.5, 24);
    const after = placed(box ?? boxes()[0]);
    now.x += ((x - before.left) / before.scale) - ((x - after.left) / after.scale);
    now.y += ((y - before.top) / before.scale) - ((y - after.top) / after.scale);
    update();
  }

  function home() {
    Object.assign(view(), { zoom: 1, x: 0, y: 0 });
    update();
  }

  function show({ stack = 0, frame, layer, window: name, at }) {
    state.stack = stack;
    state.mode = layer ?? state.mode;
    const chosen = spec.windows.find((one) => one.name === name);
    if (chosen) Object.assign(state, { low: chosen.low, high: chosen.high });
    view().frame = clamp(frame, 0, stackNow().frames.length - 1);
    Object.assign(view(), { zoom: 1, x: 0, y: 0 });
    state.ring = at ? { stack, frame: view().frame, at } : null;
    if (at) {
      const [top, left, bottom, right] = stackNow().focus;
      const [down, across] = frameNow().spacing;
      Object.assign(view(), {
        zoom: 2,
        x: (at[1] + 0.5 - (left + right) / 2) * across,
        y: (at[0] + 0.5 - (top + bottom) / 2) * down,
      });
    }
    update();
    stage.scrollIntoView({ block: "start" });
    stage.focus({ preventScroll: true });
  }

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.();
  }

  const deeds = {
    "zoom-in": () => zoomBy(1.3),
    "zoom-out": () => zoomBy(1 / 1.3),
    home,
    full: fullScreen,
  };

  function keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (target.matches("input[type=number]")) return;
    if (target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(key)) return;
    if (target.matches("button, summary") && (key === " " || key === "Enter")) return;
    const swiping = state.mode === "swipe";
    const moves = {
      ArrowUp: () => setFrame(view().frame - 1),
      ArrowDown: () => setFrame(view().frame + 1),
      PageUp: () => setFrame(view().frame - 1),
      PageDown: () => setFrame(view().frame + 1),
      ArrowLeft: () => (swiping ? setSplit(state.split - 0.02) : setFrame(view().frame - 1)),
      ArrowRight: () => (swiping ? setSplit(state.split + 0.02) : setFrame(view().frame + 1)),
      Home: () => setFrame(0),
      End: () => setFrame(stackNow().frames.length - 1),
      "+": deeds["zoom-in"],
      "=": deeds["zoom-in"],
      "-": deeds["zoom-out"],
      0: home,
      f: fullScreen,
      s: () => grays.length > 1 && setMode("swipe"),
      p: () => grays.length > 1 && setMode("side"),
      c: () => setStack((state.stack + 1) % spec.stacks.length),
      " ": () => setMode(grays[(grays.indexOf(state.mode) + 1) % grays.length]),
    };
    for (const { letter, key: name } of spec.layers) moves[letter] = () => setMode(name);
    spec.windows.forEach(({ low, high }, i) => (moves[i + 1] = () => setWindow(low, high)));
    const move = moves[key] ?? moves[key.toLowerCase()];
    if (!move) return;
    event.preventDefault();
    move();
  }

  const fingers = new Map();
  let drag = null;

  function pressed(event) {
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    pointed = [event.offsetX, event.offsetY];
    updateReadout();
    const near = Math.abs(event.offsetX - state.split * stage.clientWidth) < 22;
    if (event.button === 2 || event.shiftKey) drag = "window";
    else drag = state.mode === "swipe" && near ? "split" : "pan";
  }

  function moved(event) {
    pointed = [event.offsetX, event.offsetY];
    const last = fingers.get(event.pointerId);
    if (!last) {
      updateReadout();
      return;
    }
    const [dx, dy] = [event.offsetX - last[0], event.offsetY - last[1]];
    if (fingers.size === 2) return pinched(event);
    fingers.set(event.pointerId, pointed);
    if (drag === "split") return setSplit(event.offsetX / stage.clientWidth);
    if (drag === "window") {
      const width = Math.max(1, state.high - state.low + 2 * dx);
      const center = (state.low + state.high) / 2 + dy;
      return setWindow(Math.round(center - width / 2), Math.round(center + width / 2));
    }
    const { scale } = placed(boxes()[0]);
    view().x -= dx / scale;
    view().y -= dy / scale;
    update();
  }

  function pinched(event) {
    const apart = () => {
      const [[x1, y1], [x2, y2]] = [...fingers.values()];
      return [Math.hypot(x1 - x2, y1 - y2), (x1 + x2) / 2, (y1 + y2) / 2];
    };
    const [before] = apart();
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    const [after, x, y] = apart();
    if (before > 0) zoomBy(after / before, x, y);
  }

  function released(event) {
    fingers.delete(event.pointerId);
  }

  let turned = 0;

  function wheeled(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    } else if (root.contains(document.activeElement)) {
      event.preventDefault();
      turned += event.deltaY;
      if (Math.abs(turned) < 40) return;
      setFrame(view().frame + Math.sign(turned));
      turned = 0;
    }
  }

  function jumpToSlice(event) {
    const pixel = pixelAt(event.offsetX, event.offsetY);
    const { lines } = frameNow();
    if (!pixel || !lines.length) return;
    const away = lines.map((row) => Math.abs(row - pixel.row));
    views[0].frame = away.indexOf(Math.min(...away));
    setStack(0);
  }

  // For a test: every plane is inflated, every picture drawn, and what was found is written down.
  async function check() {
    const found = { planes: {}, pictures: 0, errors: [] };
    try {
      for (let stack = 0; stack < spec.stacks.length; stack++) {
        for (let frame = 0; frame < spec.stacks[stack].frames.length; frame++) {
          for (const { key } of spec.layers) {
            const values = await valuesOf(stack, frame, key);
            found.planes[`${stack}-${frame}-${key}`] = values.reduce((sum, one) => sum + one, 0);
          }
          setStack(stack);
          setFrame(frame);
          for (const button of all("[data-mode]")) {
            setMode(button.dataset.mode);
            await refresh();
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            if (data.some((value, i) => i % 4 < 3 && value > 0)) found.pictures += 1;
          }
        }
      }
    } catch (error) {
      found.errors.push(String(error));
    }
    root.dataset.check = JSON.stringify(found);
  }

  for (const button of all("[data-mode]")) {
    button.addEventListener("click", () => setMode(button.dataset.mode));
  }
  for (const button of all("[data-stack]")) {
    button.addEventListener("click", () => setStack(+button.dataset.stack));
  }
  for (const button of all("[data-window]")) {
    const { low, high } = spec.windows[button.dataset.window];
    button.addEventListener("click", () => setWindow(low, high));
  }
  for (const button of all("[data-do]")) {
    button.addEventListener("click", deeds[button.dataset.do]);
  }
  find("[data-frame]").addEventListener("input", (event) => setFrame(+event.target.value));
  find("[data-split]").addEventListener("input", (event) => setSplit(event.target.value / 100));
  for (const name of ["[data-center]", "[data-width]"]) {
    find(name).addEventListener("change", () => {
      const center = Number(find("[data-center]").value);
      const width = Math.max(1, Number(find("[data-width]").value));
      setWindow(center - width / 2, center + width / 2);
    });
  }
  for (const link of document.querySelectorAll("[data-show]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      show(JSON.parse(link.dataset.show));
    });
  }
  root.addEventListener("keydown", keyed);
  stage.addEventListener("pointerdown", pressed);
  stage.addEventListener("pointermove", moved);
  stage.addEventListener("pointerup", released);
  stage.addEventListener("pointercancel", released);
  stage.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return; // what a finger touched stays to be read
    pointed = null;
    updateReadout();
  });
  stage.addEventListener("wheel", wheeled, { passive: false });
  stage.addEventListener("dblclick", jumpToSlice);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());

  root.hidden = false;
  document.documentElement.classList.add("viewing");
  new ResizeObserver(ask).observe(stage);
  setWindow(spec.windows[0].low, spec.windows[0].high);
  if (location.hash === "#viewer-check") check();
})();
