// Makes the pages smoother. Without it, every control works as a link or a form.
"use strict";

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("q");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

// Buttons that copy need a script, so they are hidden without one.
const showCopyButtons = () => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.setAttribute("aria-label", "Copied");
  button.classList.add("done");
});

showCopyButtons();
document.addEventListener("htmx:afterSwap", showCopyButtons);

// One box selects all rows of its list.
const showSelectAll = () => {
  for (const box of document.querySelectorAll("[data-select-all]")) box.hidden = false;
};

document.addEventListener("change", (event) => {
  const name = event.target.dataset.selectAll;
  if (!name) return;
  for (const box of event.target.form.querySelectorAll(`input[type=checkbox][name=${name}]`)) box.checked = event.target.checked;
});

showSelectAll();
document.addEventListener("htmx:afterSwap", showSelectAll);
