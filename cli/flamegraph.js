// SPDX-License-Identifier: Apache-2.0
// Zoom, search and details of a flame graph. Every name is read as text content and written as text
// content; nothing here builds markup.
"use strict";
(function () {
    const script = document.currentScript;
    const svg = (script && script.ownerSVGElement) || document.documentElement;
    const find = (selector) => svg.querySelector(selector);
    const area = find(".frames");
    const details = find(".details"), matched = find(".matched");
    const resetButton = find(".reset"), searchButton = find(".search"), clearButton = find(".clear");
    const rowHeight = Number(area.dataset.row), margin = Number(area.dataset.margin);
    const icicle = area.dataset.icicle === "1";
    const searchLabel = searchButton.textContent;
    const total = Number(area.dataset.total), unit = area.dataset.unit;
    let frames = [], zoomed = null, focused = null;
    let term = "", typing = false, ignoreCase = false, charWidth = 7.23;

    // Reads the boxes. They stand in order of outer to inner, left to right.
    function readFrames() {
        const path = [];
        frames = Array.from(area.querySelectorAll("g"), (g) => {
            const rect = g.querySelector("rect");
            const full = g.querySelector("title").textContent;
            const row = Math.round(Number(rect.getAttribute("y")) / rowHeight);
            const frame = {
                g, rect, full, row, text: g.querySelector("text"), parent: null, children: [],
                name: full.slice(0, full.lastIndexOf(" (")),
                start: Number(g.dataset.s), value: Number(g.dataset.v),
            };
            while (path.length) {
                const above = path[path.length - 1];
                if (icicle ? above.row < row : above.row > row)
                    break;
                path.pop();
            }
            if (path.length) {
                frame.parent = path[path.length - 1];
                frame.parent.children.push(frame);
            }
            path.push(frame);
            g.frame = frame;
            return frame;
        });
    }

    function place(frame, x, width, pixels) {
        const room = Math.floor((width * pixels - 6) / charWidth);
        frame.rect.setAttribute("x", (x * 100).toFixed(4) + "%");
        frame.rect.setAttribute("width", (width * 100).toFixed(4) + "%");
        frame.rect.classList.toggle("w", width * pixels > 4);
        if (room < 3) {
            if (frame.text)
                frame.text.classList.add("hide");
            return;
        }
        if (!frame.text) {
            frame.text = document.createElementNS("http://www.w3.org/2000/svg", "text");
            frame.text.setAttribute("y", Number(frame.rect.getAttribute("y")) + rowHeight - 5);
            frame.text.setAttribute("dx", "3");
            frame.g.appendChild(frame.text);
        }
        const letters = Array.from(frame.name.slice(0, 2 * room + 2));
        const shown = letters.length > room ? letters.slice(0, room - 1).join("") + "…" : frame.name;
        if (frame.text.textContent !== shown)
            frame.text.textContent = shown;
        frame.text.setAttribute("x", (x * 100).toFixed(4) + "%");
        frame.text.classList.remove("hide");
    }

    // Draws the boxes below the zoomed one over the whole width, those above it in full and pale.
    function layout() {
        const pixels = Math.max(svg.getBoundingClientRect().width - 2 * margin, 100);
        const start = zoomed ? zoomed.start : 0, value = zoomed ? zoomed.value : total;
        area.setAttribute("width", pixels);
        const above = new Set();
        for (let f = zoomed && zoomed.parent; f; f = f.parent)
            above.add(f);
        for (const f of frames) {
            const inside = f.start >= start && f.start + f.value <= start + value && !above.has(f);
            f.g.classList.toggle("above", above.has(f));
            f.g.classList.toggle("hide", !inside && !above.has(f));
            f.hidden = !inside && !above.has(f);
            if (above.has(f))
                place(f, 0, 1, pixels);
            else if (inside)
                place(f, (f.start - start) / value, f.value / value, pixels);
        }
        resetButton.classList.toggle("hide", !zoomed);
        for (const text of svg.querySelectorAll("[data-right]"))
            text.setAttribute("x", pixels + margin);
    }

    function zoom(frame) {
        zoomed = frame && frame.parent ? frame : null;
        layout();
    }

    function show(frame) {
        details.textContent = frame ? frame.full : "";
    }

    function focus(frame) {
        if (!frame)
            return;
        for (const g of area.querySelectorAll("[tabindex='0']"))
            g.setAttribute("tabindex", "-1");
        frame.g.setAttribute("tabindex", "0");
        frame.g.focus();
    }

    // Marks what matches. A stack counts once, however many of its frames match.
    function search() {
        let expression = null;
        try {
            expression = term ? new RegExp(term, ignoreCase ? "i" : "") : null;
            searchButton.classList.remove("bad");
        } catch (error) {
            searchButton.classList.add("bad");
        }
        let sum = 0;
        for (const f of frames) {
            const hit = expression !== null && f.name !== "" && expression.test(f.name);
            f.counted = hit || (f.parent !== null && f.parent.counted);
            if (hit && !(f.parent && f.parent.counted))
                sum += f.value;
            f.g.classList.toggle("match", hit);
        }
        const share = total ? (100 * sum / total).toFixed(2) : "0.00";
        const result = expression ? "Matched: " + share + "%" + inUnit(sum) : "";
        // The search line may be scrolled out of sight: what is typed shows at the foot too.
        matched.textContent = typing ? "/" + term + "▏ " + result : result;
        searchButton.textContent = typing ? "Search: " + term + "▏" :
            term ? "Search: " + term : searchLabel;
        clearButton.classList.toggle("hide", !term && !typing);
    }

    function inBytes(value) {
        const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let i = 0;
        for (; value >= 999.95 && i + 1 < units.length; i++)
            value /= 1024;
        return value.toFixed(i ? 1 : 0) + " " + units[i];
    }

    // What share of the picture's sum that is; samples say no more than their share does.
    function inUnit(value) {
        if (unit === "microseconds")
            return value < 1e6 ? " (" + (value / 1e3).toFixed(1) + " ms)" :
                " (" + (value / 1e6).toFixed(3) + " s)";
        if (unit === "bytes")
            return " (" + inBytes(value) + ")";
        return unit === "samples" ? "" : " (" + value.toLocaleString("en") + " " + unit + ")";
    }

    function openSearch(event) {
        if (event && event.pointerType === "touch") {
            term = window.prompt("Search (regular expression)", term) || "";
        } else {
            typing = true;
        }
        search();
    }

    function clearSearch() {
        term = "";
        typing = false;
        search();
    }

    // Typing into the search line; true when the key was for it.
    function searchKey(event) {
        if (event.ctrlKey || event.metaKey || event.altKey) {
            if (event.key.toLowerCase() === "u" && event.ctrlKey)
                term = "";
            else
                return false;
        } else if (event.key === "Enter") {
            typing = false;
        } else if (event.key === "Escape") {
            clearSearch();
        } else if (event.key === "Backspace") {
            term = Array.from(term).slice(0, -1).join("");
        } else if (Array.from(event.key).length === 1) {
            term += event.key;
        } else {
            return false;
        }
        search();
        return true;
    }

    function neighbour(frame, step) {
        for (let i = frames.indexOf(frame) + step; i >= 0 && i < frames.length; i += step)
            if (frames[i].row === frame.row && !frames[i].hidden)
                return frames[i];
        return null;
    }

    function widest(frame) {
        return frame.children.reduce((best, f) =>
            f.hidden || (best && best.value >= f.value) ? best : f, null);
    }

    // Moves between boxes, zooms; true when the key was for that.
    function frameKey(event) {
        const inner = icicle ? "ArrowDown" : "ArrowUp", outer = icicle ? "ArrowUp" : "ArrowDown";
        const frame = event.target.closest && event.target.closest("g") && event.target.closest("g").frame;
        if (!frame)
            return false;
        switch (event.key) {
        case inner: focus(widest(frame)); return true;
        case outer: focus(frame.parent); return true;
        case "ArrowLeft": focus(neighbour(frame, -1)); return true;
        case "ArrowRight": focus(neighbour(frame, 1)); return true;
        case "Home": focus(frames[0]); return true;
        case "Enter":
        case " ": zoom(frame); return true;
        }
        return false;
    }

    function globalKey(event) {
        const letter = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey;
        if (event.key === "F3" || (command && letter === "f") ||
            (event.key === "/" && !command && !event.altKey)) {
            openSearch();
        } else if (command && letter === "i") {
            ignoreCase = !ignoreCase;
            search();
        } else if (event.key === "Escape" && (term || zoomed)) {
            if (term)
                clearSearch();
            else
                zoom(null);
        } else {
            return false;
        }
        return true;
    }

    function button(element, action) {
        element.addEventListener("click", action);
        element.addEventListener("keydown", (event) => {
            if (typing || (event.key !== "Enter" && event.key !== " "))
                return;
            action(event);
            event.preventDefault();
            event.stopPropagation();
        });
    }

    function frameOf(event) {
        const g = event.target.closest("g");
        return g && g.frame ? g.frame : null;
    }

    readFrames();
    svg.removeAttribute("viewBox");
    svg.setAttribute("width", "100%");
    const sample = area.querySelector("text");
    if (sample && sample.textContent.length > 2) {
        const measured = sample.getComputedTextLength() / Array.from(sample.textContent).length;
        charWidth = measured > 2 ? measured : charWidth;
    }
    area.addEventListener("click", (event) => frameOf(event) && zoom(frameOf(event)));
    area.addEventListener("mouseover", (event) => show(frameOf(event)));
    area.addEventListener("mouseleave", () => show(focused));
    area.addEventListener("focusin", (event) => {
        focused = frameOf(event);
        show(focused);
    });
    area.addEventListener("focusout", () => show(null));
    button(resetButton, () => zoom(null));
    button(searchButton, openSearch);
    button(clearButton, clearSearch);
    window.addEventListener("keydown", (event) => {
        if ((typing && searchKey(event)) || frameKey(event) || globalKey(event))
            event.preventDefault();
    });
    window.addEventListener("paste", (event) => {
        if (typing && event.clipboardData) {
            term += event.clipboardData.getData("text/plain").split("\n")[0];
            search();
        }
    });
    window.addEventListener("resize", () => window.requestAnimationFrame(layout));
    // Browsers take the clipped area for something to scroll, and stop there on the way of Tab.
    area.setAttribute("tabindex", "-1");
    if (frames.length)
        frames[0].g.setAttribute("tabindex", "0");
    layout();
    // A flame grows from the foot: that is where reading begins.
    if (!icicle && svg === document.documentElement)
        window.scrollTo(0, svg.getBoundingClientRect().height);
})();
