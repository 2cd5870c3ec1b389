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

// "?" and the link to the shortcuts open a dialog. Without a script, the link leads to a page.
const showShortcuts = (event) => {
  const dialog = document.getElementById("shortcuts");
  if (!dialog) return;
  event.preventDefault();
  if (!dialog.open) dialog.showModal();
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "?" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) showShortcuts(event);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#shortcuts-link")) showShortcuts(event);
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

// In a narrow window, the entry of this page can be out of sight.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

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

// A failed poll changes nothing: the next one may succeed.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { elt, requestConfig, xhr } = event.detail;
  const polls = (requestConfig?.elt ?? elt).hasAttribute("data-ignore-failed-poll");
  if (polls && xhr.status >= 500) event.detail.shouldSwap = false;
});
