// Paints in Node: node paint-node.js MODEL.onnx START.f32 OUTPUT.ppm STEPS
import { readFile, writeFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";
import { describe, paint, toBytes } from "./paint.js";

const [model, start, output, steps] = process.argv.slice(2);
if (!steps) {
  console.error("usage: node paint-node.js MODEL.onnx START.f32 OUTPUT.ppm STEPS");
  process.exit(2);
}
ort.env.wasm.numThreads = 1; // Node's workers are none that ONNX Runtime can use
const session = await ort.InferenceSession.create(await readFile(model));
const { height, width } = describe(session);
if (height === null) throw new Error(`${model}: made for any size; export it with --size WxH`);
const bytes = await readFile(start);
if (bytes.length !== 12 * height * width) throw new Error(`${start}: not of ${width}x${height} px`);
const values = new Float32Array(new Uint8Array(bytes).buffer);
const result = await paint(ort, session, { height, width, values }, Number(steps), (step, loss) => {
  if (step === 1 || step % 25 === 0) console.log(`step ${step}: loss ${loss.toPrecision(5)}`);
});
const rgb = Uint8Array.from(toBytes(result, height * width)).filter((_, index) => index % 4 < 3);
await writeFile(output, Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), rgb]));
console.log(`wrote ${output}`);
