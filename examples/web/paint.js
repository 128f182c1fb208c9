// Painting with an objective that stylectl exported, by Adam; the page and paint-node.js use it.

/** The size that a model is made for, and whether it takes the content image as well. */
export function describe(session) {
  const [, , height, width] = session.inputMetadata[0].shape;
  const isDynamic = typeof height !== "number";
  return {
    height: isDynamic ? null : height,
    width: isDynamic ? null : width,
    takesContent: session.inputNames.includes("content"),
  };
}

/**
 * Minimises the loss. `start` is {height, width, values}: float32 in [0, 1], (3, height, width), all
 * red, then all green, then all blue; for a model of dynamic size it is the content image as well.
 * `onStep(step, loss, image)` is awaited after each step. Returns the result's values.
 *
 * Adam as stylectl's optimizer `adam` has it: the result is a running average of the images.
 */
export async function paint(ort, session, start, steps, onStep = () => {}) {
  const [beta1, beta2, stepSize, averaging] = [0.9, 0.99, 0.02, 0.99];
  const shape = [1, 3, start.height, start.width];
  const image = Float32Array.from(start.values);
  const content = new ort.Tensor("float32", start.values, shape);
  const [first, second, average] = [0, 0, 0].map(() => new Float32Array(image.length));
  const result = new Float32Array(image.length);
  for (let step = 1; step <= steps; step++) {
    const inputs = { image: new ort.Tensor("float32", image, shape) };
    if (describe(session).takesContent) inputs.content = content;
    const outputs = await session.run(inputs, ["loss", "gradient"]);
    const gradient = outputs.gradient.data;
    const scale1 = 1 - beta1 ** step;
    const scale2 = 1 - beta2 ** step;
    const scaleAverage = 1 - averaging ** step;
    for (let i = 0; i < image.length; i++) {
      first[i] += (1 - beta1) * (gradient[i] - first[i]);
      second[i] += (1 - beta2) * (gradient[i] ** 2 - second[i]);
      image[i] -= ((stepSize / scale1) * first[i]) / (Math.sqrt(second[i] / scale2) + 1e-8);
      average[i] += (1 - averaging) * (image[i] - average[i]);
      result[i] = average[i] / scaleAverage;
    }
    await onStep(step, outputs.loss.data[0], result);
    for (const output of Object.values(outputs)) output.dispose();
  }
  return result;
}

/** The bytes of an image: RGBA, row by row. The values are clamped to [0, 1] once, here. */
export function toBytes(values, pixels) {
  const bytes = new Uint8ClampedArray(4 * pixels).fill(255); // rounds and clamps
  for (let pixel = 0; pixel < pixels; pixel++)
    for (let channel = 0; channel < 3; channel++)
      bytes[4 * pixel + channel] = 255 * values[channel * pixels + pixel];
  return bytes;
}

/** The values of an image of such bytes. */
export function fromBytes(bytes, height, width) {
  const values = new Float32Array(3 * height * width);
  for (let pixel = 0; pixel < height * width; pixel++)
    for (let channel = 0; channel < 3; channel++)
      values[channel * height * width + pixel] = bytes[4 * pixel + channel] / 255;
  return { height, width, values };
}
