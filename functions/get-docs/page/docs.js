
// The page is served as …/docs and …/docs/, below the path of every base URL of the API.
const base = location.pathname.replace(/\/docs\/?$/, '');

// Swagger UI leaves these controls without a name for screen readers.
const names = {
  '.copy-to-clipboard button': 'Copy to the clipboard',
  '.body-param textarea': 'Request body',
};
const page = document.getElementById('docs');
new MutationObserver(() => {
  for (const [selector, name] of Object.entries(names)) {
    page.querySelectorAll(selector).forEach((control) => control.setAttribute('aria-label', name));
  }
}).observe(page, { childList: true, subtree: true });

SwaggerUIBundle({
  url: `${base}/openapi.json`,
  domNode: page,
  deepLinking: true,
  // A key stays in the tab.
  persistAuthorization: false,
  validatorUrl: null,
});
