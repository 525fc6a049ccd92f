// Which names the files of a result set may have: what the service refuses is said before anything is sent.

const CONTROL = /[\p{Cc}\p{Cs}\ufffe\uffff]/u;

// What is wrong with one name, as the end of the sentence "The name …", or null.
export function problem(name) {
  if (/^\p{White_Space}*$/u.test(name)) return "must not be empty";
  if (name.includes('"')) return "holds a quotation mark, which browsers can't send as it is";
  if (new TextEncoder().encode(name).length > 255) return "is longer than 255 bytes";
  return wayOut(name) ?? wayOut(name.normalize("NFKC"));
}

function wayOut(name) {
  if (CONTROL.test(name)) return "holds a control character";
  if (/[/\\]/.test(name)) return "holds a slash or a backslash";
  return name === "." || name === ".." ? "must not be . or .." : null;
}

// The same for all names of one result set, in their order.
export function problems(names, reserved = []) {
  const taken = new Set();
  return names.map((name) => {
    const normal = name.normalize("NFKC");
    const isTaken = taken.has(normal);
    taken.add(normal);
    if (reserved.includes(normal)) return "is reserved for the manifest";
    return problem(name) ?? (isTaken ? "is there twice" : null);
  });
}
