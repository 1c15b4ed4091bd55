// @ts-check
// Parts of a page. What the gate says goes into them as text and as values of attributes, never as HTML: who calls the API
// chooses much of it.

/**
 * @typedef {string | number | boolean | undefined | ((event: Event) => void)} Attribute a function listens for the event of
 *   that name; `true` is an attribute without a value, `false` and `undefined` are none
 * @typedef {Node | string | null} Child `null` is none
 */

/**
 * An element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {{ [name: string]: Attribute }} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * An element of a picture.
 * @param {keyof SVGElementTagNameMap} tag
 * @param {{ [name: string]: Attribute }} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {{ [name: string]: Attribute }} attributes
 * @param {Child[]} children
 * @returns {E}
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * The element of the page that has that id.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @param {new () => E} [kind]
 * @returns {E}
 */
function found(id, kind = /** @type {new () => E} */ (HTMLElement)) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no such ${id}`);
  return element;
}
