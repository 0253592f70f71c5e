/** Building elements. Text only ever goes in as text nodes: every name shown here is somebody else's input. */

const svgNamespace = 'http://www.w3.org/2000/svg'

export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children)
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), attributes, children)
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value)
  node.append(...children.filter(child => child !== undefined && child !== null))
  return node
}

export function setAttribute(node, name, value) {
  if (value === undefined || value === null || value === false) node.removeAttribute(name)
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value))
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/** Makes control and direction-changing characters visible instead of letting them act. */
export function visible(text) {
  return String(text).replaceAll(/\p{C}/gu, '\uFFFD')
}
