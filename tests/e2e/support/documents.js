// Tables and commands of the documents, which tests compare with what happens.

import { readFile } from "node:fs/promises";
import path from "node:path";

import { ROOT } from "./project.js";

/** The code blocks of a text that are marked with this language. */
export const codeBlocks = (text, language) => [...text.matchAll(/^ *```(\w+)\n([\s\S]*?)^ *```$/gm)].filter(([, found]) => found === language).map(([, , block]) => block);

/** The command lines of a text, in its order. */
export const commandsOf = (text) => codeBlocks(text, "sh").flatMap((block) => block.split("\n").map((line) => line.trim()).filter(Boolean));

/** The rows of the table of a document that has this header, as cells; a cell that is a code span is its text. */
export async function rowsBelow(document, header) {
  const text = await readFile(path.join(ROOT, document), "utf8");
  const [, below] = text.split(`${header}\n`);
  if (below === undefined) throw new Error(`${document} has no table ${header}`);
  const [, ...rows] = below.split("\n\n")[0].trim().split("\n");
  if (rows.length === 0) throw new Error(`${document} has no rows below ${header}`);
  return rows.map((row) => row.slice(2, -2).split(" | ").map((cell) => cell.replace(/^`([^`]*)`$/, "$1")));
}
