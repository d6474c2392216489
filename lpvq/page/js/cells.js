// A grid of 8 × 8 cells over a picture: one of them has the focus, arrow keys move it.

class Cells {
  // `title` names the grid for those who hear it, or is null for a grid that only mouse and finger use.
  constructor(box, side, title) {
    this.side = side;
    this.box = make("div", { className: "cells" });
    if (title) {
      this.box.setAttribute("role", "grid");
      this.box.setAttribute("aria-label", title);
    } else {
      this.box.setAttribute("aria-hidden", "true");
    }
    this.buttons = [];
    for (let row = 0; row < side; row++) {
      const line = make("div");
      if (title) line.setAttribute("role", "row");
      for (let column = 0; column < side; column++) line.append(this.makeCell(title));
      this.box.append(line);
    }
    if (title) this.buttons[0].tabIndex = 0;
    this.box.addEventListener("keydown", (event) => this.move(event));
    box.append(this.box);
  }

  makeCell(title) {
    const button = make("button", { type: "button", tabIndex: -1 });
    if (title) button.setAttribute("role", "gridcell");
    this.buttons.push(button);
    return button;
  }

  // Calls back with the position of the cell that an event is about, or −1.
  on(kinds, callback) {
    for (const kind of kinds) {
      this.box.addEventListener(kind, (event) => callback(this.buttons.indexOf(event.target.closest("button")), event));
    }
  }

  // Calls back when a cell is pointed at or has the focus, and with −1 when none is any more.
  onPoint(callback) {
    this.on(["pointerover", "focusin"], callback);
    for (const kind of ["pointerleave", "focusout"]) this.box.addEventListener(kind, () => callback(-1));
  }

  move(event) {
    const at = this.buttons.indexOf(event.target);
    const [row, column] = [Math.floor(at / this.side), at % this.side];
    const last = this.side - 1;
    const to = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      Home: [row, 0],
      End: [row, last],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = this.buttons[between(to[0], 0, last) * this.side + between(to[1], 0, last)];
    this.buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  // Marks the cells for which `is` holds with a class.
  mark(name, is) {
    this.buttons.forEach((button, position) => button.classList.toggle(name, Boolean(is(position))));
  }

  say(position, text) {
    this.buttons[position].setAttribute("aria-label", text);
  }
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function find(id) {
  return document.getElementById(id);
}

function between(x, least, most) {
  return Math.max(least, Math.min(most, x));
}
