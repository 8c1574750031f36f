#!/usr/bin/env bash
# What looks deeper than the tests and takes longer. `cargo xtask ci` runs `fuzz`.
#
#   tests/deep.sh fuzz [SECONDS [TARGET...]]   searches for inputs that break a promise of the core, 20 s for each target of fuzz/
#   tests/deep.sh mutants [OPTION...]          breaks the core in one place at a time; fails if the tests miss it; takes hours
#   tests/deep.sh coverage                     fails if the tests run less of the core than they should
#   tests/deep.sh soak [MINUTES]               fails if the memory of the Workers grows under load, 60 minutes, at least 30
#   tests/deep.sh timing [SAMPLES]             fails if comparing a key takes longer the more of it is right
#   tests/deep.sh dist [OPTION...]             fails if `cargo xtask dist OPTION...` makes other bytes in another folder; builds everything twice
#
# `cargo xtask ci` installs cargo-fuzz and cargo-llvm-cov. `mutants` also needs `cargo install --locked cargo-mutants@27.1.0`, and
# `coverage` needs `rustup component add llvm-tools`.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
export PATH=$PWD/node_modules/.bin:$target/venv/bin:$PATH
# The stable compiler; no address sanitizer, because the core has no unsafe code to look into.
fuzzing=(--sanitizer=none "--target-dir=$target/fuzz")

case ${1:-} in
fuzz)
  node fuzz/seeds.js
  cargo fuzz build "${fuzzing[@]}"
  # Two targets at a time.
  { [ $# -gt 2 ] && printf '%s\n' "${@:3}" || cargo fuzz list; } | xargs -P 2 -n 1 "$0" search "${2:-20}"
  ;;
search)
  log=$target/fuzz/$3.log
  # A record may have 16 KiB and a path too; longer inputs say nothing new and make the search slow.
  if ! cargo fuzz run "${fuzzing[@]}" "$3" -- -max_total_time="$2" -max_len=20480 -timeout=10 -rss_limit_mb=1024 \
    -use_value_profile=1 -print_final_stats=1 &> "$log"; then
    grep -v '^#' "$log" >&2
    exit 1
  fi
  echo "$3: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, $(grep -o 'cov: .* corp: [0-9]*' "$log" | tail -1)"
  ;;
mutants)
  # Of what is listed in .cargo/mutants.toml. Nobody debugs a mutant; one that takes 90 s loops, which is noticed as well.
  env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 cargo mutants --package=keygate-core --no-shuffle --timeout=90 --output="$target" "${@:2}" -- --lib ||
    [ $? = 3 ]
  ;;
coverage)
  # The lines of tests within a file count as well, and always run. Counting branches is not stable yet, and this measures with the compiler that builds the gate.
  export RUSTC_BOOTSTRAP=1
  measured=(--branch --ignore-filename-regex='tests\.rs$')
  cargo llvm-cov --package=keygate-core --lib "${measured[@]}" --show-missing-lines --fail-under-lines=97
  cargo llvm-cov report --package=keygate-core "${measured[@]}" --json --summary-only | node -e '
    const { files } = JSON.parse(require("fs").readFileSync(0)).data[0];
    const { branches } = files.find(({ filename }) => filename.endsWith("/auth/decide.rs")).summary;
    if (branches.count === 0 || branches.notcovered > 0) throw new Error(`auth/decide.rs: ${branches.notcovered} branches are not taken`);'
  ;;
soak)
  SOAK_MINUTES=${2:-60} node_modules/.bin/node --test --test-reporter=spec tests/soak.test.js
  ;;
timing)
  # dudect takes |t| of 5 and more for a leak; the control has to have one.
  cargo run --quiet --release --locked --manifest-path=timing/Cargo.toml --target-dir="$target/timing" -- "${2:-1000000}" |
    awk '/max t = / {
      t = $0; sub(/.*max t = /, "", t); t += 0; if (t < 0) t = -t
      leaks = t >= 5; compared++; if (leaks != ($2 == "leaky_control")) wrong++
      printf "%-18s |t| = %9.2f  %s\n", $2, t, leaks ? "leaks" : "no leak"
    }
    END { if (wrong || compared != 4) { print "only leaky_control may leak, and must; run it again on an idle machine"; exit 1 } }'
  ;;
dist)
  # Two clones of the last commit, at paths of different length. They share what is installed, and nothing that is compiled.
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$target/tools"
  for place in a another/place; do
    git clone --quiet . "$work/$place"
    mkdir "$work/$place/target"
    ln -s "$PWD/node_modules" "$work/$place/node_modules"
    ln -s "$target/tools" "$work/$place/target/tools"
    (cd "$work/$place" && env -u CARGO_TARGET_DIR cargo xtask dist "${@:2}")
  done
  diff -r "$work/a/dist" "$work/another/place/dist"
  # No file names the folder that it was built in, or a home folder.
  for package in "$work"/a/dist/*.tgz; do
    folder=$work/packed/$(basename "$package")
    mkdir -p "$folder"
    tar -xzf "$package" -C "$folder"
  done
  if grep -rlaF -e "$work" -e "$HOME/" "$work/a/dist" "$work/packed"; then
    echo "these name a folder of this machine" >&2
    exit 1
  fi
  echo "the same bytes in both folders:" && cat "$work/a/dist/SHA256SUMS"
  ;;
*)
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
