// What a preset asks for, region and account, and from that the endpoint, the region to sign for and the addressing.

import { field, h } from "./dom.js";
import { picker } from "./fields.js";
import { located } from "./presets.js";

export const TUCKED = ["s3_endpoint", "s3_region", "s3_addressing_style"];

// `fields` are those of the form, by name; returns the controls by name, with `read()` that is empty until the control is filled in.
export function placing(preset, { fields, endpoint, changed }) {
  const chosen = { region: "", account: "" };
  const apply = () => {
    const found = located(preset, chosen);
    if (preset.endpoint) for (const [name, value] of Object.entries(found)) fields[name]?.write(value);
    endpoint.textContent = found.s3_endpoint || "not known yet";
    changed();
  };
  const choose = (name) => (value) => { chosen[name] = value; apply(); };
  fields.s3_endpoint?.control.setAttribute("placeholder", preset.example ?? "");
  const controls = {};
  if (preset.account) controls.account = account(preset, chosen, choose("account"));
  if (preset.regions.length) controls.region = region(preset, chosen, choose("region"));
  apply();
  return controls;
}

function account({ account: [label, help] }, chosen, choose) {
  const control = h("input", { type: "text", autocomplete: "off", spellcheck: "false", oninput: () => choose(control.value.trim()) });
  return { ...field(label, control, { required: true, help }), read: () => chosen.account };
}

function region(preset, chosen, choose) {
  const label = preset.regionLabel ?? "Region";
  const isSuffix = preset.regions.some(([value]) => !value); // then none is a choice too
  const options = preset.regions.map(([value, text]) => [value, isSuffix ? text : `${text} · ${value}`]);
  if (!isSuffix) options.unshift(["", "Choose…"]);
  const made = picker(options, "", { label, isOpen: true, oninput: () => choose(made.read()) });
  return { ...field(label, made.control, { required: true, beside: made.beside }), read: () => (isSuffix ? "known" : chosen.region) };
}
