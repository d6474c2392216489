"use strict";
const articles = [...document.querySelectorAll("article")];
let saved = true;

// What is in a field of points: a number, null for an empty field, NaN for what does not fit.
function pointsOf(article) {
  const text = article.querySelector(".points").value.trim().replace(",", ".");
  if (text === "") return null;
  const points = Number(text);
  const most = Number(article.closest("section").dataset.of);
  return points >= 0 && points <= most ? points : NaN;
}

function look() {
  let done = 0;
  for (const article of articles) {
    const points = pointsOf(article);
    article.classList.toggle("done", points !== null && !Number.isNaN(points));
    article.querySelector(".points").classList.toggle("wrong", Number.isNaN(points));
    done += article.classList.contains("done") ? 1 : 0;
  }
  document.getElementById("count").textContent = done + " of " + articles.length + " graded" + (saved ? "" : ", not saved yet");
}

// A cell of a table: quoted, and no formula for a spreadsheet.
function cell(text) {
  const line = String(text).split(/\s+/).join(" ").trim();
  const harmless = /^[=+\-@]/.test(line) ? "'" + line : line;
  return '"' + harmless.replaceAll('"', '""') + '"';
}

function table() {
  const rows = [["student", "question", "points", "of", "comment", "answer"]];
  for (const article of articles) {
    const question = article.closest("section").dataset;
    const points = pointsOf(article);
    rows.push([article.dataset.student, question.question, points === null || Number.isNaN(points) ? "" : points,
      question.of, article.querySelector(".comment").value, article.dataset.answer]);
  }
  return "\ufeff" + rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

document.addEventListener("input", (event) => {
  const article = event.target.closest("article");
  if (!article) return;
  if (event.target.dataset.points) {
    const boxes = [...article.querySelectorAll("input[data-points]")];
    article.querySelector(".points").value = boxes.reduce((sum, box) => sum + (box.checked ? Number(box.dataset.points) : 0), 0);
  }
  saved = false;
  look();
});

document.getElementById("names").addEventListener("change", (event) => {
  document.body.classList.toggle("anonymous", !event.target.checked);
});

document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "by_hand.csv";
  link.click();
  saved = true;
  look();
});

window.addEventListener("beforeunload", (event) => {
  if (!saved) event.preventDefault();
});

look();
