// Drawing on an image: `[channels, height, width]` in one row of numbers, from `low` (paper) to `high` (ink).

// A stroke from one point to another, [row, column] in pixels, with soft edges. The eraser's is paper.
// It is as wide as a pen's on MNIST's digits: about two of 28 pixels.
export function stroke({ values, shape: [, height, width], low, high }, from, to, erase) {
    const radius = Math.max(0.5, Math.min(height, width) / 28);
    const [dy, dx] = [to[0] - from[0], to[1] - from[1]];
    const length = dy * dy + dx * dx;
    for (let at = 0; at < values.length; at++) {
        // Of the stroke's points the one nearest to the pixel.
        const [y, x] = [(Math.floor(at / width) % height) + 0.5 - from[0], (at % width) + 0.5 - from[1]];
        const along = length ? Math.min(1, Math.max(0, (y * dy + x * dx) / length)) : 0;
        const distance = Math.hypot(y - along * dy, x - along * dx);
        const ink = (high - low) * Math.min(1, Math.max(0, radius + 0.5 - distance));
        values[at] = erase ? Math.min(values[at], high - ink) : Math.max(values[at], low + ink);
    }
}

// As MNIST's digits are: the longer side of what is drawn takes 20 of 28 pixels, its centre of mass is the image's.
export function centre({ values, shape: [, height, width], low, high }) {
    const pixel = (value, at) => ({ ink: (value - low) / (high - low), y: Math.floor(at / width) % height, x: at % width });
    const points = Array.from(values, pixel).filter(({ ink }) => ink > 0.1);
    if (!points.length) return;
    const mass = points.reduce((sum, { ink }) => sum + ink, 0);
    const [middleY, middleX] = ["y", "x"].map((axis) => points.reduce((sum, it) => sum + it.ink * it[axis], 0) / mass);
    const sides = ["y", "x"].map((axis) => {
        const places = points.map((point) => point[axis]);
        return Math.max(...places) - Math.min(...places) + 1;
    });
    const scale = Math.max(...sides) / ((20 / 28) * Math.min(height, width));
    const old = values.slice();
    for (let at = 0; at < values.length; at++) {
        const y = middleY + ((Math.floor(at / width) % height) - (height - 1) / 2) * scale;
        const x = middleX + ((at % width) - (width - 1) / 2) * scale;
        const channel = Math.floor(at / (height * width)) * height * width;
        values[at] = between(old.subarray(channel, channel + height * width), [height, width], y, x, low);
    }
}

// Between the four pixels around a point.
function between(values, [height, width], y, x, outside) {
    const pixel = (r, c) => (r >= 0 && r < height && c >= 0 && c < width ? values[r * width + c] : outside);
    const [r, c] = [Math.floor(y), Math.floor(x)];
    const line = (row) => pixel(row, c) * (c + 1 - x) + pixel(row, c + 1) * (x - c);
    return line(r) * (r + 1 - y) + line(r + 1) * (y - r);
}
