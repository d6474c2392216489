// Unpacks the models, and lets the panels work with them.

async function start() {
  const all = await unpack(find("models").textContent.trim());
  const under = (prefix) =>
    Object.fromEntries(
      Object.entries(all.arrays)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, numbers]) => [name.slice(prefix.length), numbers]),
    );
  const models = {
    prior: new Prior(all.prior, under("prior.")),
    vqvae: new Vqvae(all.vqvae, under("vqvae.")),
    patches: all.arrays.patches,
    labels: all.labels,
    colours: all.colours,
  };
  let untouched = true;
  const complete = new CompletePanel(models);
  const paint = new PaintPanel(models);
  const draw = new DrawPanel(models, ({ codes }) => {
    if (!untouched) return; // the others begin with the first face, and keep what is done with it
    untouched = false;
    complete.take(codes);
    paint.take(draw.pair.pixels);
  });
  find("take-drawn").addEventListener("click", () => complete.take(draw.drawing.codes));
  find("take-painted").addEventListener("click", () => complete.take(paint.codes));
  find("start-from").addEventListener("click", () => paint.take(models.vqvae.decode(draw.drawing.codes)));
  await draw.startFace(1, SECONDS.first);
  return { models, draw, complete, paint };
}

// For those who look into it: what is on the page, once it is there.
const live = start();
live.catch((error) => {
  find("fault").hidden = false;
  find("fault").textContent = `This browser could not start the models (${error.message}). A newer one will.`;
  throw error;
});
