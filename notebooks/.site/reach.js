// What the theme and MyST-NB leave out, for those who hear a page or have no mouse.
document.addEventListener("DOMContentLoaded", () => {
  for (const heading of document.querySelectorAll("[role=heading]:not([aria-level])")) {
    heading.setAttribute("aria-level", "2");
  }
  for (const summary of document.querySelectorAll("details.hide > summary")) {
    summary.removeAttribute("aria-label"); // its own text says more
  }
  document.querySelector("aside.sidebar-drawer")?.setAttribute("aria-label", "All pages");

  // What is wider than the page can be reached with the Tab key, and then moved with the arrows.
  const markScrolled = () => {
    for (const box of document.querySelectorAll("article pre, .table-wrapper, .math-wrapper")) {
      if (box.scrollWidth > box.clientWidth) {
        box.setAttribute("tabindex", "0");
      } else {
        box.removeAttribute("tabindex");
      }
    }
  };
  markScrolled();
  window.addEventListener("load", markScrolled);
  window.addEventListener("resize", markScrolled);
});
