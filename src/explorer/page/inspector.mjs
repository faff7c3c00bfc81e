// How one number was made: the window, the kernel's numbers over it, the products, the sum, the bias, the activation.

import { element, fill, short, signed } from "./dom.mjs";
import { explain, explainPooling } from "./network.mjs";
import { balanced, colorOf, cssOf, paintChannels, rangeOf } from "./painting.mjs";

// So many channels or inputs are shown one by one; the others as their sum.
const MOST_PARTS = 8;
// A window with more rows or columns is shown without its numbers.
const MOST_NUMBERS = 5;

export function makeInspector(app) {
    const body = document.querySelector("#inspector > div");
    return () => {
        const { text, layers, state: { filter, spot } } = app;
        const { layer, unit, row, column } = spot;
        const about = layers[layer];
        const { outputs, image } = app.slot();
        const x = layer ? outputs[layer - 1] : image.values;
        const [count, rows, columns] = about.to;
        const isMap = unit === undefined;
        if (isMap && filter >= count) return body.replaceChildren(fill(text.no_filter, { last: count - 1 }));
        const pixel = `${text.filter} ${filter}, ${fill(text.pixel, { row, column })}`;
        const name = isMap ? pixel : layer === layers.length - 1 ? app.className(unit) : `${text.unit} ${unit}`;
        const value = outputs[layer][isMap ? (filter * rows + row) * columns + column : unit];
        const head = element("p", {}, `${about.name}, ${name}: `, element("b", {}, short(value)));
        if (!about.kernel) return body.replaceChildren(head, ...ofPooling(app, about, x, value));
        const made = explain(about, x, unit ?? filter, row, column);
        const parts = isMap ? ofWindow(app, about, made, x) : [ofUnit(app, made, app.sourceOf(layer))];
        body.replaceChildren(head, ...parts, formula(text, about, made, value));
    };
}

// Numbers in coloured cells, with others `over` them.
export function numberGrid(values, columns, colors, range, { over, winner, small } = {}) {
    const bare = small || Math.max(columns, values.length / columns) > MOST_NUMBERS;
    const cells = Array.from(values, (value, i) => {
        const cell = element("span", i === winner ? { class: "winner" } : {});
        if (Number.isNaN(value)) return cell;
        Object.assign(cell.style, cssOf(colorOf(colors, value, range)));
        if (!bare) cell.append(short(value), ...(over ? [element("small", {}, `× ${short(over[i])}`)] : []));
        return cell;
    });
    const kind = bare ? "grid bare" : over ? "grid over" : "grid";
    return element("div", { class: kind, style: `--columns: ${columns}` }, ...cells);
}

const labelled = (label, content) => element("div", { class: "labelled" }, content, element("span", {}, label));
const sign = (text) => element("span", { class: "sign" }, text);

// Sum, bias and activation, in one line.
function formula(text, { activation }, { bias, sum }, value) {
    const end = activation === "linear" ? [] : [` → ${activation} → `, element("b", {}, short(value))];
    const added = `${bias < 0 ? "−" : "+"} ${text.bias} ${short(Math.abs(bias))}`;
    return element("p", {}, `${text.products_sum} ${short(sum - bias)} ${added} = `, element("b", {}, short(sum)), ...end);
}

function others(text, parts) {
    const rest = parts.slice(MOST_PARTS);
    const sum = rest.reduce((sum, part) => sum + part.sum, 0);
    return rest.length ? element("p", {}, `${fill(text.others, { count: rest.length })}: ${signed(sum)}`) : "";
}

function ofWindow(app, { size: [, columns], kernel }, { parts }, x) {
    const { text, state } = app;
    const part = parts.find(({ channel }) => channel === state.channel) ?? parts[0];
    const [seen, reach] = [rangeOf(x), balanced(rangeOf(kernel))];
    const products = part.values.map((value, i) => value * part.kernel[i]);
    const name = (channel) => fill(text.channel, { channel });
    const detail = element("div", { class: "detail" },
        labelled(text.window, numberGrid(part.values, columns, app.inferno, seen, { over: part.kernel })),
        sign("="),
        labelled(text.products, numberGrid(products, columns, app.diverging, balanced(rangeOf(products)))),
        sign("Σ"),
        labelled(parts.length > 1 ? name(part.channel) : text.sum, element("b", {}, signed(part.sum))),
    );
    if (parts.length === 1) return [detail];
    const choices = parts.slice(0, MOST_PARTS).map((each) => element("button", {
        type: "button", "aria-pressed": each === part, click: () => app.look(state.spot, each.channel),
    },
        element("span", {}, `${name(each.channel)} `),
        numberGrid(each.values, columns, app.inferno, seen, { small: true }),
        numberGrid(each.kernel, columns, app.diverging, reach, { small: true }),
        element("b", {}, signed(each.sum)),
    ));
    const group = { class: "parts", role: "group", "aria-label": text.channels };
    return [detail, element("div", group, ...choices, others(text, parts))];
}

function ofPooling(app, layer, x, value) {
    const { state: { filter, spot }, text } = app;
    const { values, winner } = explainPooling(layer, x, filter, spot.row, spot.column);
    const area = layer.from[1] * layer.from[2];
    const seen = rangeOf(x, filter * area, (filter + 1) * area);
    const grid = labelled(text.window_pooling, numberGrid(values, layer.size[1], app.inferno, seen, { winner }));
    const detail = element("div", { class: "detail" }, grid, sign("→"), element("b", {}, short(value)));
    return [detail, element("p", {}, fill(text.largest, { count: values.length }))];
}

// What each input adds to a unit: the largest by name, and where the inputs are pixels all of them as a picture.
function ofUnit(app, { parts }, source) {
    const largest = Math.abs(parts[0].sum) || 1;
    const lines = parts.slice(0, MOST_PARTS).map(({ channel, values, kernel, sum }) => {
        const width = `width: ${(Math.abs(sum) / largest) * 100}%`;
        return element("li", {},
            element("span", {}, app.inputName(source, channel)),
            element("span", {}, `${short(values[0])} × ${short(kernel[0])}`),
            element("span", { class: "bar" }, element("i", { class: sum < 0 ? "less" : "more", style: width })),
            element("b", {}, signed(sum)),
        );
    });
    const list = element("div", { class: "terms" }, element("ol", {}, ...lines), others(app.text, parts));
    if (!source.shape) return list;
    const values = new Float32Array(parts.length);
    for (const { channel, sum } of parts) values[channel] = sum;
    const canvas = element("canvas", { role: "img", "aria-label": app.text.votes });
    paintChannels(canvas, values, source.shape, app.diverging, 200);
    return element("div", { class: "detail top" }, list, labelled(app.text.votes, canvas));
}
