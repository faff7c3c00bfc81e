// A training whose every random number comes from the seed, and its fingerprint. A test runs it, a process of its own runs it,
// and a cell of the kernel is given this very text.
fn repeated() -> svertka::Result<String> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    seed(11);
    let images = Tensor::f_rand([500, 1, 28, 28], (Kind::Float, Device::Cpu))?;
    let labels = Tensor::f_randint(10, [500], (Kind::Int64, Device::Cpu))?;
    let mut model = Sequential::new([
        conv2d(16, (3, 3), Relu),
        max_pooling2d(2, 2),
        conv2d(16, (3, 3), Relu),
        flatten(),
        dropout(0.2),
        dense(128, Relu),
        dense(10, Softmax),
    ]);
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let fit = Fit::epochs(3).threads(2).verbosity(Verbosity::Silent);
    let history = model.fit(&images, &labels, fit)?;
    let mut hasher = DefaultHasher::new();
    for epoch in &history.epochs {
        (epoch.loss.to_bits(), epoch.accuracy.to_bits()).hash(&mut hasher);
    }
    for (_, weight) in model.weights()? {
        for number in Vec::<f32>::try_from(weight.f_flatten(0, -1)?)? {
            number.to_bits().hash(&mut hasher);
        }
    }
    let score = model.evaluate(&images, &labels)?;
    (score.loss.to_bits(), score.accuracy.to_bits()).hash(&mut hasher);
    Ok(format!("fingerprint {:016x}", hasher.finish()))
}
