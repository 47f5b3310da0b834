// Opened as a file, a page can load no modules; it says so.
if (location.protocol === "file:") addEventListener("DOMContentLoaded", () => {
  const told = document.createElement("p");
  told.setAttribute("role", "alert");
  told.style.cssText = "margin: 0; padding: 1em; background: #e69f00; color: #000";
  told.textContent = "What moves on this page needs an address: run “python -m http.server” in the folder of the site, and open http://localhost:8000.";
  document.body.prepend(told);
});
