// Elements, keys and pointers, and numbers as people read them. Text never becomes markup.

export function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") node.addEventListener(name, value);
        else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
}

// A text with its {names} filled in.
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// About three digits: 0, 1.84, 12.3, 0.031, 4.2e−5.
export function short(value) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    const decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
    const text = size >= 0.001 && size < 100000 ? value.toFixed(decimals) : value.toExponential(1);
    return text.replaceAll("-", "−");
}

export const signed = (value) => (value < 0 ? short(value) : `+${short(value)}`);

// A range in a text that has places for both its ends.
export const told = ([low, high], text = "{low} … {high}") => fill(text, { low: short(low), high: short(high) });

// A pixel, counted row by row, in a text that has places for its row and its column.
export const pixelName = (text, pixel, columns) => fill(text, { row: Math.floor(pixel / columns), column: pixel % columns });

// How far a key moves down and across, if it is one that moves, or the space bar; the page itself doesn't move then.
export function stepOf(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], " ": [0, 0] };
    if (steps[event.key]) event.preventDefault();
    return steps[event.key];
}

// The whole number from 0 to below `size` that is nearest.
export const inside = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));

// Where a pointer is on a picture of so many rows and columns, between pixels.
export function pointOn(canvas, event, [rows, columns]) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientY - box.top) / box.height) * rows, ((event.clientX - box.left) / box.width) * columns];
}

// Puts a frame around a part of a picture of so many rows and columns; without a part it is hidden.
export function frame(node, part, [rows, columns]) {
    node.hidden = !part;
    if (!part) return;
    const share = (length, of) => `${(length / of) * 100}%`;
    node.style.inset = `${share(part.top, rows)} auto auto ${share(part.left, columns)}`;
    node.style.height = share(part.bottom - part.top, rows);
    node.style.width = share(part.right - part.left, columns);
}

export const pixelAt = (row, column) => ({ top: row, left: column, bottom: row + 1, right: column + 1 });
