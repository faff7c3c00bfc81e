// Numbers as colours: palettes of 256 colours, and maps painted into a canvas.

import { bytesOf } from "./network.mjs";

// A palette from its bytes, red, green and blue of each colour: one number a colour, as a canvas has them.
export function palette(base64) {
    const bytes = bytesOf(base64);
    return Uint32Array.from({ length: bytes.length / 3 }, (_, i) => {
        const [red, green, blue] = bytes.subarray(3 * i);
        return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    });
}

export const GREY = Uint32Array.from({ length: 256 }, (_, i) => ((255 << 24) | (i * 0x010101)) >>> 0);

export function rangeOf(values, start = 0, end = values.length) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = start; i < end; i++) {
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
    }
    return [low, high];
}

// From minus to plus the largest: 0 stands in the middle of a palette.
export function balanced([low, high]) {
    const reach = Math.max(Math.abs(low), Math.abs(high));
    return [-reach, reach];
}

export function colorOf(colors, value, [low, high]) {
    const share = high > low ? (value - low) / (high - low) : 0;
    // matplotlib's own rounding to one of 256.
    return colors[Math.min(255, Math.max(0, Math.floor(share * 256)))];
}

// A colour for CSS, and the one of black and white that can be read on it.
export function cssOf(color) {
    const parts = [color & 255, (color >> 8) & 255, (color >> 16) & 255];
    const linear = parts.map((part) => (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return { background: `rgb(${parts.join(" ")})`, color: luminance > 0.179 ? "#000" : "#fff" };
}

// Paints `maps`, each { values, start, range }, of the same size in rows of `columns` with a gap between them. A number
// becomes a square of `scale` pixels.
export function paintMaps(canvas, maps, [height, width], colors, { columns = 1, scale = 1, gap = 0 } = {}) {
    const [stepX, stepY] = [width * scale + gap, height * scale + gap];
    const size = [stepX * Math.min(columns, maps.length) - gap, stepY * Math.ceil(maps.length / columns) - gap];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    const image = context.createImageData(...size);
    const pixels = new Uint32Array(image.data.buffer);
    maps.forEach(({ values, start, range }, index) => {
        const corner = Math.floor(index / columns) * stepY * size[0] + (index % columns) * stepX;
        for (let row = 0; row < height; row++) {
            const line = corner + row * scale * size[0];
            for (let column = 0; column < width; column++) {
                const color = colorOf(colors, values[start + row * width + column], range);
                for (let i = 0; i < scale; i++) pixels[line + column * scale + i] = color;
            }
            for (let copy = 1; copy < scale; copy++) {
                pixels.copyWithin(line + copy * size[0], line, line + width * scale);
            }
        }
    });
    context.putImageData(image, 0, 0);
}

// The channels of something side by side in a square.
export function paintChannels(canvas, values, [channels, rows, columns], colors, side) {
    const across = Math.ceil(Math.sqrt(channels));
    const range = balanced(rangeOf(values));
    const maps = Array.from({ length: channels }, (_, i) => ({ values, start: i * rows * columns, range }));
    const scale = Math.max(1, Math.floor(side / (across * columns)));
    paintMaps(canvas, maps, [rows, columns], colors, { columns: across, scale, gap: 2 });
}

// An image as it is: grey, or red, green and blue.
export function paintImage(canvas, { values, shape: [channels, height, width], low, high }) {
    if (channels !== 3) return paintMaps(canvas, [{ values, start: 0, range: [low, high] }], [height, width], GREY);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const area = height * width;
    const shade = (value) => ((value - low) / (high - low)) * 255;
    for (let i = 0; i < area; i++) {
        image.data.set([shade(values[i]), shade(values[i + area]), shade(values[i + 2 * area]), 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
}

// Numbers as bars above and below zero, `step` pixels apart, in the canvas's own text colour.
export function paintBars(canvas, values, [low, high], step) {
    const height = 64;
    [canvas.width, canvas.height] = [values.length * step, height];
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(canvas).color;
    const [bottom, top] = [Math.min(low, 0), Math.max(high, 0)];
    const y = (value) => ((top - value) / (top - bottom || 1)) * height;
    for (const [i, value] of values.entries()) {
        context.fillRect(i * step, y(Math.max(value, 0)), step - Math.ceil(step / 8), Math.abs(y(value) - y(0)));
    }
    context.fillRect(0, Math.min(y(0), height - 1), canvas.width, 1);
}
