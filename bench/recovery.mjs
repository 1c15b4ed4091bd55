// Times the functions of bench/recovery.rs: the median of rounds, in microseconds a call.
import { createRequire } from "node:module";

const wasm = createRequire(import.meta.url)(process.argv[2]);
const [rounds, times] = [15, 200];

function median(run) {
  run(times);
  const spans = Array.from({ length: rounds }, () => {
    const from = performance.now();
    run(times);
    return (performance.now() - from) * 1000 / times;
  });
  return Math.round(spans.sort((a, b) => a - b)[Math.floor(rounds / 2)]);
}

console.log(`recover the signer: ${median(wasm.recover_signer)} µs; check a whole payment header: ${median(wasm.check)} µs`);
