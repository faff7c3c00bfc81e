//! Every sentence that a learner can meet, in one table, in both languages.

/// The languages that the crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

/// The learner's language. Read anew at every call: a cell may set `SVERTKA_LANG`, and every evcxr cell has its own
/// copy of this crate's statics.
pub(crate) fn language() -> Language {
    choose(|name| std::env::var(name).ok())
}

/// Of `SVERTKA_LANG`, `LC_ALL`, `LC_MESSAGES` and `LANG`, the first that is set and not empty decides. If it begins with
/// `ru`, in capitals or not (`ru`, `RU`, `ru_RU.UTF-8`), the language is Russian; otherwise, and if none is set, English.
fn choose(variable: impl Fn(&str) -> Option<String>) -> Language {
    // The learner's own first, then the order in which the C library asks for the language of messages.
    ["SVERTKA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .map_or(Language::English, |value| {
            if value.to_lowercase().starts_with("ru") {
                Language::Russian
            } else {
                Language::English
            }
        })
}

macro_rules! texts {
    ($( $name:ident ( $($argument:ident),* ) { en: $en:literal, ru: $ru:literal $(,)? } )*) => {
        $(
            #[allow(clippy::too_many_arguments)]
            pub(crate) fn $name($($argument: impl std::fmt::Display),*) -> String {
                match language() {
                    Language::English => format!($en),
                    Language::Russian => format!($ru),
                }
            }
        )*

        /// The whole table, for the test of its completeness: name, English, Russian.
        #[cfg(test)]
        const TABLE: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $ru)),*];
    };
}

texts! {
    // Everywhere
    libtorch(text) {
        en: "libtorch could not do that: {text}",
        ru: "libtorch не справилась: {text}",
    }
    out_of_memory() {
        en: "there is not enough memory for that: take fewer images at a time, or a network with fewer filters or units",
        ru: "на это не хватает памяти: берите меньше изображений за раз или сеть, где меньше фильтров или нейронов",
    }
    interrupted(operation) {
        en: "{operation} was interrupted before its end; nothing was changed: run the cell again",
        ru: "{operation}: прервано до конца, ничего не изменено; запустите ячейку ещё раз",
    }

    // Device
    gpu_in_use(name) {
        en: "Computing on the GPU ({name})",
        ru: "Вычисления идут на видеокарте ({name})",
    }
    bad_device(wish) {
        en: "SVERTKA_DEVICE is \"{wish}\": write cpu, cuda or cuda:0, or leave it unset",
        ru: "в SVERTKA_DEVICE записано «{wish}»: напишите cpu, cuda или cuda:0 либо не задавайте эту переменную",
    }
    no_gpu(wish) {
        en: "SVERTKA_DEVICE asks for {wish}, but libtorch finds no NVIDIA GPU here that it could use; unset it or write cpu",
        ru: "SVERTKA_DEVICE требует {wish}, но libtorch не находит здесь видеокарты NVIDIA, с которой могла бы работать; уберите переменную или напишите cpu",
    }
    device_fails(wish, reason) {
        en: "SVERTKA_DEVICE asks for {wish}, but that device does not work here: {reason}; unset it or write cpu",
        ru: "SVERTKA_DEVICE требует {wish}, но это устройство здесь не работает: {reason}; уберите переменную или напишите cpu",
    }

    // Layers and shapes
    place(position, name) {
        en: "layer {position} ({name})",
        ru: "слой {position} ({name})",
    }
    no_layers() {
        en: "the model has no layers: give Sequential::new at least one, such as dense(10, Softmax)",
        ru: "в модели нет слоёв: передайте в Sequential::new хотя бы один, например dense(10, Softmax)",
    }
    no_shape_yet() {
        en: "the model has no weights yet, because it has not seen an image: add .input_shape([1, 28, 28]) or call fit first",
        ru: "у модели ещё нет весов, потому что она не видела ни одного изображения: добавьте .input_shape([1, 28, 28]) или сначала вызовите fit",
    }
    bad_input_shape(shape) {
        en: "one image can't have the shape {shape}: its sizes are at least 1, such as [1, 28, 28] for [channels, height, width]",
        ru: "размер изображения не может быть {shape}: каждое число в нём — не меньше 1, например [1, 28, 28]: [каналы, высота, ширина]",
    }
    image_too_large(shape, most) {
        en: "one image of shape {shape} would have more than {most} numbers: check its sizes, such as [1, 28, 28] for [channels, height, width]",
        ru: "в одном изображении размера {shape} было бы больше чисел, чем {most}: проверьте размер, например [1, 28, 28]: [каналы, высота, ширина]",
    }
    not_positive(place, what, value) {
        en: "{place}: {what} is {value}, it must be at least 1",
        ru: "{place}: {what} = {value}, а нужно не меньше 1",
    }
    what_filters() {
        en: "the number of filters",
        ru: "число фильтров",
    }
    what_units() {
        en: "the number of units",
        ru: "число нейронов",
    }
    what_window_height() {
        en: "the height of the window",
        ru: "высота окна",
    }
    what_window_width() {
        en: "the width of the window",
        ru: "ширина окна",
    }
    what_stride() {
        en: "the stride",
        ru: "шаг (strides)",
    }
    misplaced(place, setting) {
        en: "{place} has no .{setting}(…), only conv2d and max_pooling2d have it: remove it here",
        ru: "{place}: вызова .{setting}(…) у этого слоя нет, он есть только у conv2d и max_pooling2d; уберите его здесь",
    }
    too_many_parameters(place, parameters) {
        en: "{place} would have {parameters} parameters, more than memory can hold: take fewer units or filters, or put a pooling before it",
        ru: "{place}: получилось бы параметров: {parameters} — столько не поместится в память; уменьшите число нейронов или фильтров либо поставьте перед этим слоем пулинг",
    }
    no_channels(place, input, reshape, better) {
        en: "{place} needs images [channels, height, width] and gets {input}: add the channel with .reshape({reshape}), so that one image is {better}",
        ru: "{place} ждёт изображения [каналы, высота, ширина], а получает {input}: добавьте канал вызовом .reshape({reshape}), чтобы одно изображение стало {better}",
    }
    batch_for_image(place, input, better) {
        en: "{place} needs images [channels, height, width] and gets {input}: leave out the number of images, one image is {better}",
        ru: "{place} ждёт изображения [каналы, высота, ширина], а получает {input}: уберите число изображений, одно изображение — это {better}",
    }
    needs_image(place, input) {
        en: "{place} needs images [channels, height, width] and gets {input}, numbers in a row: put this layer before flatten()",
        ru: "{place} ждёт изображения [каналы, высота, ширина], а получает {input}, числа в один ряд: поставьте этот слой перед flatten()",
    }
    channels_last(place, input, better) {
        en: "{place} gets images of shape {input}, which looks like [height, width, channels]: the channels must come first, {better}, and .permute([0, 3, 1, 2]) moves them there",
        ru: "{place} получает изображения размера {input} — похоже на [высота, ширина, каналы]; каналы должны идти первыми, {better}: переставьте их вызовом .permute([0, 3, 1, 2])",
    }
    kernel_too_large(place, kernel, input) {
        en: "{place}: its {kernel} window does not fit into its input {input}: take a smaller window or remove a pooling before it",
        ru: "{place}: окно {kernel} не помещается во вход {input}; возьмите окно поменьше или уберите пулинг перед ним",
    }
    pool_too_large(place, pool, input) {
        en: "{place}: pooling by {pool} does not fit into its input {input}: remove this layer or pool by less",
        ru: "{place}: окно пулинга {pool} не помещается во вход {input}; уберите этот слой или уменьшите окно",
    }
    flat_already(place, input) {
        en: "{place}: its input {input} is flat already: remove this layer",
        ru: "{place}: вход {input} уже плоский; уберите этот слой",
    }
    dense_needs_flat(place, input) {
        en: "{place} needs a flat input and gets {input}: put flatten() before it",
        ru: "{place} ждёт плоский вход, а получает {input}; поставьте перед ним flatten()",
    }
    dropout_rate(place, rate) {
        en: "{place}: rate is {rate}, it must be at least 0 and less than 1",
        ru: "{place}: rate = {rate}, а нужно не меньше 0 и меньше 1",
    }
    softmax_in_the_middle(place) {
        en: "{place}: Softmax makes probabilities of classes and belongs in the last layer: use Relu here",
        ru: "{place}: Softmax превращает логиты в вероятности классов, её место — в последнем слое; здесь напишите Relu",
    }
    no_classes(place, shape) {
        en: "{place} is the last and gives {shape} for an image, not one number for each class: end with flatten() and dense(10, Softmax)",
        ru: "{place} — последний и для каждого изображения даёт {shape}, а не по числу на класс; закончите модель слоями flatten() и dense(10, Softmax)",
    }
    last_activation(place, activation) {
        en: "{place} is the last and ends in {activation}, which gives no probabilities of classes: write Softmax there",
        ru: "{place} — последний, а его активация {activation} не даёт вероятностей классов; напишите в нём Softmax",
    }

    // Images and labels
    not_images(shape) {
        en: "the images have the shape {shape}, but [images, channels, height, width] or [images, height, width] is needed: give the images first, then the labels",
        ru: "размер изображений — {shape}, а нужен [изображения, каналы, высота, ширина] или [изображения, высота, ширина]; сначала передайте изображения, потом метки",
    }
    one_image(shape, batch) {
        en: "this is one image of shape {shape}, but the model takes a batch of images: make a batch of one with .reshape({batch})",
        ru: "это одно изображение размера {shape}, а модель принимает пачку; сделайте пачку из одного вызовом .reshape({batch})",
    }
    images_to_reshape(shape, own, better) {
        en: "the images have the shape {shape}, but one image of the model is {own}: add .reshape({better})",
        ru: "размер изображений — {shape}, а одно изображение для модели — {own}; добавьте .reshape({better})",
    }
    images_channels_last(shape, own) {
        en: "the images have the shape {shape}, but one image of the model is {own}: the channels stand last, add .permute([0, 3, 1, 2])",
        ru: "размер изображений — {shape}, а одно изображение для модели — {own}; каналы стоят в конце, добавьте .permute([0, 3, 1, 2])",
    }
    images_of_another_shape(shape, own) {
        en: "the images have the shape {shape}, but one image of the model is {own}: give images of that size, or make a new model for these",
        ru: "размер изображений — {shape}, а одно изображение для модели — {own}; дайте изображения такого размера или создайте для этих новую модель",
    }
    no_images() {
        en: "there are no images: the first size of the tensor is 0, give at least one image",
        ru: "изображений нет: первый размер тензора равен 0; дайте хотя бы одно изображение",
    }
    image_kind(kind) {
        en: "the images are of kind {kind}, but the model takes real numbers: convert with .to_kind(Kind::Float)",
        ru: "изображения имеют тип {kind}, а модели нужны вещественные числа; преобразуйте вызовом .to_kind(Kind::Float)",
    }
    image_not_finite(index) {
        en: "image {index} holds NaN or infinity, with which nothing can be computed; correct it: images.nan_to_num(0.0, 1.0, 0.0)",
        ru: "в изображении {index} есть NaN или бесконечность, считать с ними нельзя; исправьте: images.nan_to_num(0.0, 1.0, 0.0)",
    }
    validation(reason) {
        en: "validation data: {reason}",
        ru: "данные для валидации: {reason}",
    }
    labels_shape(shape) {
        en: "the labels have the shape {shape}, but [images] is needed, one class number for each image: make a row of them with .reshape([-1])",
        ru: "размер меток — {shape}, а нужен [изображения], по одному номеру класса на изображение; вытяните их в ряд вызовом .reshape([-1])",
    }
    one_hot_labels(shape) {
        en: "the labels have the shape {shape} and look like one-hot rows, but class numbers are needed: add .argmax(-1, false)",
        ru: "размер меток — {shape}, похоже на one-hot, а нужны номера классов; добавьте .argmax(-1, false)",
    }
    label_kind(kind) {
        en: "the labels are of kind {kind}, but class numbers are whole numbers: convert with .to_kind(Kind::Int64)",
        ru: "метки имеют тип {kind}, а номера классов — целые числа; преобразуйте вызовом .to_kind(Kind::Int64)",
    }
    counts_differ(images, labels) {
        en: "{images} images but {labels} labels: each image needs its label",
        ru: "изображений: {images}, а меток: {labels}; каждому изображению нужна своя метка",
    }
    label_out_of_range(label, index, last, classes) {
        en: "image {index} has the label {label}, but the number of units in the last layer is {classes}, so labels go from 0 to {last}: correct the labels or the number of units",
        ru: "у изображения {index} метка {label}, а число нейронов в последнем слое — {classes}, значит, метки идут от 0 до {last}; исправьте метки или число нейронов",
    }
    labels_from_one(classes, last) {
        en: "the labels go from 1 to {classes}, but the classes are numbered from 0 to {last}: subtract 1 from the labels",
        ru: "метки идут от 1 до {classes}, а классы нумеруются от 0 до {last}; вычтите из меток 1",
    }
    unscaled(largest) {
        en: "Note: the images go up to {largest:.0}, and nets learn better from numbers between 0 and 1: divide the images by 255.0",
        ru: "Замечание: значения в изображениях доходят до {largest:.0}, а сеть лучше учится на числах от 0 до 1; разделите изображения на 255.0",
    }

    // Layers and weights by name
    no_such_layer(name, names) {
        en: "there is no layer named \"{name}\"; the model has {names}",
        ru: "слоя с именем «{name}» нет; в модели есть {names}",
    }
    no_such_weight(name, names) {
        en: "there are no weights named \"{name}\"; the model has {names}",
        ru: "весов с именем «{name}» нет; в модели есть {names}",
    }
    weight_shape(name, own, given) {
        en: "the weights {name} have the shape {own}, but {given} was given: give a tensor of that shape",
        ru: "размер весов {name} — {own}, а передан тензор {given}; передайте тензор такого же размера",
    }

    // A model's file
    file_unreadable(path, reason) {
        en: "{path} can't be read: {reason}",
        ru: "{path} не читается: {reason}",
    }
    file_missing(path) {
        en: "there is no file {path}: check its name and its folder",
        ru: "файла {path} нет; проверьте его имя и папку",
    }
    file_is_folder(path) {
        en: "{path} is a folder: add the name of a file",
        ru: "{path} — папка; добавьте имя файла",
    }
    file_no_folder(path, folder) {
        en: "{path} can't be written: the folder {folder} does not exist, make it first",
        ru: "{path} нельзя записать: папки {folder} нет, сначала создайте её",
    }
    file_bad(path, reason) {
        en: "{path} is no model of svertka's: {reason}",
        ru: "{path} — не модель svertka: {reason}",
    }
    file_not_safetensors() {
        en: "it is not a whole safetensors file; load a file written by model.save, or save the model again",
        ru: "это не целый файл safetensors; загрузите файл, записанный model.save, или сохраните модель ещё раз",
    }
    file_foreign() {
        en: "its metadata does not describe layers; only files written by model.save can be loaded",
        ru: "в его метаданных нет описания слоёв; загрузить можно только файл, записанный model.save",
    }
    file_version(found, own) {
        en: "its format has version {found}, this svertka reads version {own}",
        ru: "версия его формата — {found}, а эта svertka читает версию {own}",
    }
    file_tensor_missing(name, expected) {
        en: "tensor {name} is missing, {expected} was expected",
        ru: "нет тензора {name}, ожидался размер {expected}",
    }
    file_tensor_shape(name, expected, found) {
        en: "tensor {name} is {found}, F32 {expected} was expected",
        ru: "тензор {name} — {found}, а ожидался F32 {expected}",
    }
    file_tensor_number(name, index, value) {
        en: "tensor {name} has {value} at position {index}, a finite number was expected",
        ru: "в тензоре {name} под номером {index} стоит {value}, а ожидалось конечное число",
    }

    // Training
    not_compiled() {
        en: "the model does not know how to learn yet: call model.compile(Adam::default(), SparseCategoricalCrossentropy) first",
        ru: "модель ещё не знает, как учиться: сначала вызовите model.compile(Adam::default(), SparseCategoricalCrossentropy)",
    }
    learning_rate(value) {
        en: "the learning rate is {value}: it must be a number above 0, such as 0.001",
        ru: "скорость обучения равна {value}, а должна быть числом больше 0, например 0.001",
    }
    optimizer_decay(name, value) {
        en: "the optimizer's {name} is {value}: it must be at least 0 and less than 1, such as 0.9",
        ru: "у оптимизатора {name} = {value}, а нужно не меньше 0 и меньше 1, например 0.9",
    }
    optimizer_epsilon(value) {
        en: "the optimizer's epsilon is {value}: it must be a small number above 0, such as 1e-7",
        ru: "у оптимизатора epsilon = {value}, а нужно малое число больше 0, например 1e-7",
    }
    epochs(value) {
        en: "Fit::epochs({value}): there must be at least 1 epoch",
        ru: "Fit::epochs({value}): нужна хотя бы 1 эпоха",
    }
    batch_size(value) {
        en: "batch_size({value}): a batch needs at least 1 image",
        ru: "batch_size({value}): в пачке должно быть хотя бы 1 изображение",
    }
    threads(number, most) {
        en: "threads({number}): the number of threads must be from 1 to {most}",
        ru: "threads({number}): число потоков должно быть от 1 до {most}",
    }
    fraction(value) {
        en: "fraction({value}): the fraction of the images must be above 0 and at most 1",
        ru: "fraction({value}): доля изображений должна быть больше 0 и не больше 1",
    }
    validation_split(value) {
        en: "validation_split({value}): the fraction of the images must be above 0 and below 1, such as 0.1",
        ru: "validation_split({value}): доля изображений должна быть больше 0 и меньше 1, например 0.1",
    }
    validation_split_empty(value, images) {
        en: "validation_split({value}): {images} images are too few, a part would be empty: give more images or another fraction",
        ru: "validation_split({value}): изображений мало ({images}), одна часть осталась бы пустой; дайте больше изображений или другую долю",
    }
    diverged(epoch, step, limit, rate) {
        en: "the loss became NaN or larger than {limit} in epoch {epoch}, step {step}, and the weights are again as before that epoch: the learning rate {rate} may be too large, try 0.001, and check that the images are numbers from 0 to 1",
        ru: "потери стали NaN или больше {limit} (эпоха {epoch}, шаг {step}), веса возвращены к началу этой эпохи; возможно, скорость обучения {rate} слишком велика: попробуйте 0.001 и проверьте, что изображения — числа от 0 до 1",
    }
    epoch_running(epoch, epochs, percent, loss, accuracy, left, speed) {
        en: "epoch {epoch}/{epochs} · {percent:.0} % · loss {loss:.4} · accuracy {accuracy:.4} · {left:.0} s left · {speed:.0} images/s",
        ru: "эпоха {epoch}/{epochs} · {percent:.0} % · потери {loss:.4} · точность {accuracy:.4} · осталось {left:.0} с · {speed:.0} изобр./с",
    }
    machine_shared() {
        en: " · slower: the machine is busy with other work",
        ru: " · медленнее: машина занята и другой работой",
    }
    epoch_done(epoch, epochs, seconds, loss, accuracy) {
        en: "Epoch {epoch}/{epochs} {seconds:6.1} s · loss {loss:.4} · accuracy {accuracy:.4}",
        ru: "Эпоха {epoch}/{epochs} {seconds:6.1} с · потери {loss:.4} · точность {accuracy:.4}",
    }
    epoch_validation(loss, accuracy) {
        en: " · val_loss {loss:.4} · val_accuracy {accuracy:.4}",
        ru: " · на валидации: потери {loss:.4} · точность {accuracy:.4}",
    }
    training_interrupted(epoch, epochs, percent) {
        en: "Interrupted in epoch {epoch}/{epochs} at {percent:.0} %: the model keeps the weights of this moment, the next fit goes on from here",
        ru: "Прервано в эпоху {epoch}/{epochs} на {percent:.0} %: у модели остались веса этого момента, следующий fit продолжит отсюда",
    }
    score(loss, accuracy) {
        en: "loss {loss:.4} · accuracy {accuracy:.4}",
        ru: "потери {loss:.4} · точность {accuracy:.4}",
    }

    // Callbacks
    loss_reached(loss, wanted) {
        en: "Stopped: the loss is {loss:.4}, below {wanted}",
        ru: "Остановлено: потери {loss:.4}, меньше {wanted}",
    }
    accuracy_reached(accuracy, wanted) {
        en: "Stopped: the accuracy is {accuracy:.4}, above {wanted}",
        ru: "Остановлено: точность {accuracy:.4}, больше {wanted}",
    }
    no_better(waited, epoch, best) {
        en: "Stopped: no better loss for {waited} epochs; the weights are those of epoch {epoch} with loss {best:.4}",
        ru: "Остановлено: эпох без улучшения: {waited}; возвращены веса эпохи {epoch} с потерями {best:.4}",
    }
    callback_stops() {
        en: "Stopped by on_epoch_end",
        ru: "Остановлено в on_epoch_end",
    }

    // Summary
    summary_layer() {
        en: "Layer",
        ru: "Слой",
    }
    summary_shape() {
        en: "Output shape",
        ru: "Размер выхода",
    }
    summary_parameters() {
        en: "Parameters",
        ru: "Параметры",
    }
    // A space at which no line is broken.
    thousands_separator() { en: ",", ru: "\u{a0}" }
    summary_total(total) {
        en: "Total parameters: {total}",
        ru: "Всего параметров: {total}",
    }

    // Datasets: what is wrong with a file
    data_not_a_file() {
        en: "it is not a file",
        ru: "это не файл",
    }
    data_unreadable(reason) {
        en: "it can't be read ({reason})",
        ru: "не читается ({reason})",
    }
    data_strange(expected) {
        en: "it is neither gzip nor IDX ({expected} bytes were expected inside)",
        ru: "это не gzip и не IDX (внутри ожидалось байт: {expected})",
    }
    data_cut_short() {
        en: "its gzip data end too early",
        ru: "данные gzip обрываются",
    }
    data_broken_gzip() {
        en: "its gzip data are damaged",
        ru: "данные gzip повреждены",
    }
    data_too_long(expected) {
        en: "it holds more than the {expected} bytes expected",
        ru: "внутри больше, чем ожидалось (байт: {expected})",
    }
    data_too_short(expected, found) {
        en: "it holds {found} bytes instead of {expected}",
        ru: "внутри байт: {found} вместо {expected}",
    }
    data_other_content() {
        en: "its content is not the right one (SHA-256 differs)",
        ru: "содержимое не то (SHA-256 не совпадает)",
    }
    // Datasets: where they come from
    data_bad_own(path, defect) {
        en: "The file {path} (from SVERTKA_DATA) is bad: {defect}. Replace it, or remove it to have it looked for elsewhere.",
        ru: "Файл {path} (из SVERTKA_DATA) испорчен: {defect}. Замените его или удалите: тогда он будет взят из другого места.",
    }
    data_bad_cached(path, defect) {
        en: "The file {path} in the cache is bad: {defect}. It is fetched again.",
        ru: "Файл {path} в кэше испорчен: {defect}. Он будет загружен заново.",
    }
    data_bad_kept(path, defect) {
        en: "The file {path} is bad: {defect}. It is not used.",
        ru: "Файл {path} испорчен: {defect}. Он не используется.",
    }
    data_not_in(folder) {
        en: "not in {folder}",
        ru: "нет в {folder}",
    }
    data_no_home() {
        en: "There is no home folder to keep the data in: they are used now and downloaded again next time. Set HOME or XDG_CACHE_HOME to keep them.",
        ru: "Нет домашней папки, чтобы сохранить данные: сейчас они используются, а в следующий раз загрузятся снова. Чтобы сохранять их, задайте HOME или XDG_CACHE_HOME.",
    }
    data_not_kept(folder, reason) {
        en: "The data can't be kept in {folder} ({reason}): they are used now and downloaded again next time. Set XDG_CACHE_HOME to another folder to keep them.",
        ru: "Данные не удаётся сохранить в {folder} ({reason}): сейчас они используются, а в следующий раз загрузятся снова. Чтобы сохранять их, укажите в XDG_CACHE_HOME другую папку.",
    }
    data_waiting(title) {
        en: "Another program is downloading {title}: waiting for it.",
        ru: "{title} уже загружает другая программа: ждём её.",
    }
    data_interrupted(title) {
        en: "The download of {title} was stopped. Run the cell again to go on with it.",
        ru: "Загрузка {title} остановлена. Чтобы продолжить её, выполните ячейку ещё раз.",
    }
    data_nowhere(title, tried, files, folder) {
        en: "{title} could not be had: {tried}. Try again when the network works, or put {files} into a folder {folder} and set SVERTKA_DATA to the folder that holds it.",
        ru: "{title} взять неоткуда: {tried}. Повторите, когда сеть заработает, или положите {files} в папку {folder} и укажите в SVERTKA_DATA папку, в которой она лежит.",
    }
    data_sample(title, train, test, tried) {
        en: "The full {title} could not be had ({tried}): its sample is used, {train} images to train and {test} to test.",
        ru: "Полный {title} взять неоткуда ({tried}): используется его часть, изображений для обучения {train}, для теста {test}.",
    }
    data_asking(title, host) {
        en: "{title}: asking {host}.",
        ru: "{title}: запрос к {host}.",
    }
    data_progress(file, done, total) {
        en: "{file}: {done} of {total} MB",
        ru: "{file}: {done} из {total} МБ",
    }
    data_progress_unknown(file, done) {
        en: "{file}: {done} MB",
        ru: "{file}: {done} МБ",
    }
    // Datasets: what a dataset shows of itself
    data_train() { en: "train", ru: "обучение" }
    data_test() { en: "test", ru: "тест" }
    data_images() { en: "images", ru: "изображения" }
    data_labels() { en: "labels", ru: "метки" }
    data_classes() { en: "classes", ru: "классы" }
    data_origin() { en: "from", ru: "источник" }
    data_licence() { en: "licence", ru: "лицензия" }
    // Datasets: what a mirror did; stands behind the mirror's name
    net_not_https() {
        en: "its address is not HTTPS",
        ru: "адрес не HTTPS",
    }
    net_no_host() {
        en: "its name is not known here",
        ru: "имя не найдено",
    }
    net_no_connection(seconds) {
        en: "no connection within {seconds} s",
        ru: "нет соединения за {seconds} с",
    }
    net_refused() {
        en: "the connection is refused",
        ru: "в соединении отказано",
    }
    net_proxy(proxy, reason) {
        en: "the proxy {proxy} from the environment does not help ({reason})",
        ru: "прокси {proxy} из окружения не помог ({reason})",
    }
    net_not_secure(reason) {
        en: "no secure connection ({reason})",
        ru: "нет защищённого соединения ({reason})",
    }
    net_status(status) {
        en: "it answered {status}",
        ru: "ответ {status}",
    }
    net_redirects() {
        en: "it sends on from address to address without end",
        ru: "перенаправляет без конца",
    }
    net_stalled(seconds) {
        en: "nothing came for {seconds} s",
        ru: "ничего не пришло за {seconds} с",
    }
    net_out_of_time(seconds) {
        en: "it took longer than {seconds} s",
        ru: "не уложились в {seconds} с",
    }
    net_broken_off(done) {
        en: "the connection broke off after {done} bytes",
        ru: "соединение оборвалось, получено байт: {done}",
    }
    net_too_long(limit) {
        en: "it sends more than {limit} bytes",
        ru: "присылает больше {limit} байт",
    }

    // Files
    not_written(path, problem) {
        en: "{path} was not written: {problem}",
        ru: "{path} не записан: {problem}",
    }

    // Figures
    figure_line(what, width, height) {
        en: "Picture, {width} × {height} pixels. {what}",
        ru: "Рисунок, {width} × {height} пикселей. {what}",
    }
    figure_not_drawn(problem) {
        en: "the figure could not be drawn: {problem}; please report this as a mistake in svertka",
        ru: "рисунок не получился: {problem}; сообщите, пожалуйста, об этом как об ошибке в svertka",
    }
    figure_ending(path) {
        en: "{path}: a figure is saved as .png or .svg; let the file's name end in one of them",
        ru: "{path}: рисунок сохраняется как .png или .svg; закончите имя файла на одно из них",
    }
    figure_filter(number) {
        en: "Filter {number}: what each layer makes of the image",
        ru: "Фильтр {number}: что делает с изображением каждый слой",
    }
    figure_image(index) {
        en: "image {index}",
        ru: "№ {index}",
    }
    figure_answer() {
        en: "predicted:",
        ru: "ответ:",
    }
    figure_input() {
        en: "image",
        ru: "изображение",
    }
    figure_no_indices(last) {
        en: "no image is chosen: give the numbers of some, from 0 to {last}",
        ru: "не выбрано ни одного изображения: укажите номера от 0 до {last}",
    }
    figure_no_such_image(index, last) {
        en: "there is no image {index}: they are numbered from 0 to {last}",
        ru: "изображения {index} нет: их номера — от 0 до {last}",
    }
    figure_grid_too_large(most) {
        en: "a grid has room for {most} images: draw several grids",
        ru: "в одной сетке помещается изображений: {most}; нарисуйте несколько сеток",
    }
    figure_no_such_filter(place, filter, last) {
        en: "{place} has no filter {filter}: its filters are numbered from 0 to {last}",
        ru: "{place}: фильтра {filter} нет, номера фильтров — от 0 до {last}",
    }
    figure_no_pictures_at_all(place) {
        en: "{place} gives no images, and no other layer does: begin the model with conv2d",
        ru: "{place} не даёт изображений, и другие слои тоже; начните модель со слоя conv2d",
    }
    figure_no_kernels(name, names) {
        en: "\"{name}\" has no kernels to show; layers that have: {names}",
        ru: "у слоя «{name}» нет ядер, которые можно показать; есть у слоёв: {names}",
    }
    figure_no_convolution() {
        en: "the model has no convolution, so there are no kernels to show: add a conv2d layer",
        ru: "в модели нет свёртки, ядра показать негде; добавьте слой conv2d",
    }
    figure_images_shape(shape) {
        en: "images of shape {shape} can't be drawn: expected [images, height, width] or [images, channels, height, width] with 1 or 3 channels",
        ru: "изображения размера {shape} не нарисовать: ожидалось [изображения, высота, ширина] или [изображения, каналы, высота, ширина], где каналов 1 или 3",
    }
    figure_negative_label(label, index) {
        en: "image {index} has the label {label}, but classes are numbered from 0: correct the labels",
        ru: "у изображения {index} метка {label}, а номера классов начинаются с 0; исправьте метки",
    }
    figure_gallery(shown, all) {
        en: "Images: {shown} of {all}",
        ru: "Изображения: {shown} из {all}",
    }
    figure_gallery_line(shown, all, classes) {
        en: "Gallery, images: {shown} of {all}; their classes: {classes}",
        ru: "Галерея, изображений: {shown} из {all}; их классы: {classes}",
    }
    figure_mistakes() {
        en: "The surest mistakes",
        ru: "Самые уверенные ошибки сети",
    }
    figure_mistakes_note(wrong, all) {
        en: "misclassified: {wrong} of {all}",
        ru: "всего ошибок: {wrong} из {all}",
    }
    figure_mistakes_line(shown, wrong, all, mistakes) {
        en: "Misclassified images: {wrong} of {all}; shown: {shown}, the surest first: {mistakes}",
        ru: "Ошибок сети: {wrong} из {all}; показано: {shown}, сначала самые уверенные: {mistakes}",
    }
    figure_mistake(label, class, percent) {
        en: "{label} as {class} ({percent} %)",
        ru: "{label} как {class} ({percent} %)",
    }
    figure_kernels(layer) {
        en: "{layer}: the kernels",
        ru: "{layer}: ядра",
    }
    figure_kernels_line(layer, filters, channels, reach) {
        en: "Kernels of {layer}, filters: {filters}, channels: {channels}; weights from −{reach} to {reach}",
        ru: "Ядра слоя {layer}, фильтров: {filters}, каналов: {channels}; веса от −{reach} до {reach}",
    }
    figure_activations(images, layers, filter) {
        en: "Activation grid of filter {filter}: images {images} through layers: {layers}",
        ru: "Сетка активаций фильтра {filter}: изображения {images}, слоёв: {layers}",
    }
    figure_history(epochs) {
        en: "Training history, epochs: {epochs}",
        ru: "История обучения, эпох: {epochs}",
    }
    figure_history_training(loss, last_loss, accuracy, last_accuracy) {
        en: "; training: loss from {loss:.4} to {last_loss:.4}, accuracy from {accuracy:.4} to {last_accuracy:.4}",
        ru: "; обучение: потери от {loss:.4} до {last_loss:.4}, точность от {accuracy:.4} до {last_accuracy:.4}",
    }
    figure_history_validation(loss, last_loss, accuracy, last_accuracy) {
        en: "; validation: loss from {loss:.4} to {last_loss:.4}, accuracy from {accuracy:.4} to {last_accuracy:.4}",
        ru: "; валидация: потери от {loss:.4} до {last_loss:.4}, точность от {accuracy:.4} до {last_accuracy:.4}",
    }
    figure_loss() {
        en: "Loss",
        ru: "Потери",
    }
    figure_accuracy() {
        en: "Accuracy",
        ru: "Точность",
    }
    figure_epoch() {
        en: "epoch",
        ru: "эпоха",
    }
    figure_training() {
        en: "training",
        ru: "обучение",
    }
    figure_validation() {
        en: "validation",
        ru: "валидация",
    }
    figure_best(epoch, value) {
        en: "best: {value}, epoch {epoch}",
        ru: "лучшее: {value}, эпоха {epoch}",
    }
    figure_comparison() {
        en: "Validation accuracy against time of training",
        ru: "Точность на валидации и время обучения",
    }
    figure_comparison_line(ends) {
        en: "Validation accuracy at the end of training: {ends}",
        ru: "Точность на валидации в конце обучения: {ends}",
    }
    figure_curve(name, accuracy, seconds) {
        en: "{name} {accuracy:.4} after {seconds:.1} s",
        ru: "{name} {accuracy:.4} через {seconds:.1} с",
    }
    figure_prediction(percent) { en: "predicted {percent:.1} %", ru: "прогноз {percent:.1} %" }
    figure_seconds() {
        en: "seconds of training",
        ru: "секунды обучения",
    }
    figure_confusion() {
        en: "What the net takes for what",
        ru: "Что сеть с чем путает",
    }
    figure_confusion_note(correct, all, percent) {
        en: "classified correctly: {correct} of {all} ({percent} %)",
        ru: "верных ответов: {correct} из {all} ({percent} %)",
    }
    figure_confusion_line(classes, correct, all, percent) {
        en: "Confusion matrix, classes: {classes}; classified correctly: {correct} of {all} ({percent} %)",
        ru: "Матрица ошибок, классов: {classes}; верных ответов: {correct} из {all} ({percent} %)",
    }
    figure_hardest(label, percent) {
        en: "; hardest class: {label} ({percent} %)",
        ru: "; хуже всего узнаётся {label} ({percent} %)",
    }
    figure_confused(label, class, count) {
        en: "; most frequent mistake: {label} as {class}, {count}",
        ru: "; самая частая ошибка: {label} как {class}, {count}",
    }
    figure_answered() {
        en: "predicted class",
        ru: "ответ сети",
    }
    figure_truth() {
        en: "true class",
        ru: "на самом деле",
    }
    figure_in_truth(name) {
        en: "is: {name}",
        ru: "это: {name}",
    }
    figure_weights(reach) {
        en: "red: +{reach}, white: 0, blue: −{reach}",
        ru: "красный: +{reach}, белый: 0, синий: −{reach}",
    }
    figure_weights_table(reach) {
        en: "rows: filters, columns: channels they look at; red: +{reach}, white: 0, blue: −{reach}",
        ru: "строки — фильтры, столбцы — каналы, на которые они смотрят; красный: +{reach}, белый: 0, синий: −{reach}",
    }
    figure_right() {
        en: "right",
        ru: "верно",
    }

    // The explorer: calls
    explorer_line(layers, parameters, images) {
        en: "A network to explore: layers {layers}, parameters {parameters}, images {images}. It is a page: .save(\"network.html\") writes it, a browser opens it",
        ru: "Сеть, в которую можно заглянуть: слоёв {layers}, параметров {parameters}, изображений {images}. Это страница: .save(\"network.html\") запишет её, браузер откроет",
    }
    explorer_still() {
        en: "This is a still picture. To explore the network, run the cell, or trust the notebook (File → Trust Notebook), or save the page with .save(\"network.html\") and open it in a browser.",
        ru: "Это неподвижная картинка. Чтобы заглянуть в сеть, запустите ячейку, или доверьтесь тетради (File → Trust Notebook), или сохраните страницу вызовом .save(\"network.html\") и откройте её в браузере.",
    }
    explorer_no_scripts() {
        en: "This page computes the network by itself and needs JavaScript for it: allow it in the browser.",
        ru: "Эта страница сама считает сеть, для этого нужен JavaScript: разрешите его в браузере.",
    }
    explorer_too_large(parameters, most) {
        en: "the model has {parameters} parameters, and a page that everyone can open holds at most {most}: explore one with fewer units or filters, or with a pooling before flatten()",
        ru: "в модели параметров: {parameters}, а на страницу, которая откроется у всех, помещается не больше {most}; возьмите модель, где меньше нейронов или фильтров либо есть пулинг перед flatten()",
    }
    explorer_too_slow(multiplications, most) {
        en: "one image takes the model {multiplications} multiplications, and a page keeps up with at most {most}: explore one with smaller images or fewer filters",
        ru: "на одно изображение у модели уходит умножений: {multiplications}, а страница успевает не больше {most}; возьмите модель, где меньше изображения или фильтров",
    }
    explorer_too_many_images(given, most) {
        en: "{given} images are chosen, and the page has room for {most}: choose fewer",
        ru: "выбрано изображений: {given}, а на странице помещается {most}; выберите меньше",
    }
    explorer_ending(path) {
        en: "{path}: the page is saved as .html; let the file's name end so",
        ru: "{path}: страница сохраняется как .html; закончите имя файла так",
    }

    // The explorer: the page
    explorer_title() { en: "Inside the network", ru: "Сеть изнутри" }
    explorer_about(layers, parameters) {
        en: "layers: {layers} · parameters: {parameters}",
        ru: "слоёв: {layers} · параметров: {parameters}",
    }
    explorer_images() { en: "Images", ru: "Изображения" }
    explorer_images_hint() {
        en: "Choose an image above, then draw on it: everything follows.",
        ru: "Выберите изображение и рисуйте прямо на нём: всё пересчитывается на ходу.",
    }
    explorer_draw() {
        en: "The image, to draw on. Arrow keys move, Space draws, Shift with an arrow draws a line",
        ru: "Изображение, на нём можно рисовать. Стрелки двигают, пробел рисует, Shift со стрелкой проводит линию",
    }
    explorer_tools() { en: "Drawing", ru: "Рисование" }
    explorer_brush() { en: "Brush", ru: "Кисть" }
    explorer_eraser() { en: "Eraser", ru: "Ластик" }
    explorer_clear() { en: "Clear", ru: "Очистить" }
    explorer_centre() { en: "Centre", ru: "По центру" }
    explorer_centre_note() {
        en: "As large and as centred as MNIST's digits are",
        ru: "Размер и место — как у цифр MNIST",
    }
    explorer_original() { en: "Restore", ru: "Вернуть" }
    explorer_changed() { en: "changed", ru: "изменено" }
    explorer_compare() { en: "Compare with a second image", ru: "Сравнить со вторым изображением" }
    explorer_answer() { en: "What the network answers", ru: "Ответ сети" }
    explorer_filter_heading() { en: "One filter through the layers", ru: "Один фильтр слой за слоем" }
    explorer_filter() { en: "filter", ru: "фильтр" }
    explorer_no_filter(last) {
        en: "filters here: 0 to {last}",
        ru: "фильтры здесь: от 0 до {last}",
    }
    explorer_one_range() {
        en: "one colour scale for the whole layer",
        ru: "общая шкала цвета для всего слоя",
    }
    explorer_kernel(channels, low, high) {
        en: "kernel, channels: {channels}; blue {low}, red {high}",
        ru: "ядро, каналов: {channels}; синий {low}, красный {high}",
    }
    explorer_pixel(row, column) {
        en: "row {row}, column {column}",
        ru: "строка {row}, столбец {column}",
    }
    explorer_made() { en: "How one number is made", ru: "Откуда берётся одно число" }
    explorer_made_hint() {
        en: "Point at a pixel of a layer above, or choose one with the arrow keys. For a unit, click its bar; for a class, its line.",
        ru: "Наведите указатель на пиксель любого слоя выше или выберите его стрелками. Нейрон выбирается щелчком по столбику, класс — щелчком по его строке.",
    }
    explorer_window() { en: "window × kernel", ru: "окно × ядро" }
    explorer_input_weight() { en: "input × weight", ru: "вход × вес" }
    explorer_window_pooling() { en: "window", ru: "окно" }
    explorer_products() { en: "products", ru: "произведения" }
    explorer_products_sum() { en: "sum of all products", ru: "сумма всех произведений" }
    explorer_sum() { en: "sum", ru: "сумма" }
    explorer_bias() { en: "bias", ru: "смещение" }
    explorer_channel(channel) { en: "channel {channel}", ru: "канал {channel}" }
    explorer_channels() {
        en: "Channels, the largest contributions first",
        ru: "Каналы, сначала самый большой вклад",
    }
    explorer_others(count) { en: "the others ({count})", ru: "остальные ({count})" }
    explorer_largest(count) {
        en: "The largest of {count} numbers is kept.",
        ru: "Из {count} чисел остаётся наибольшее.",
    }
    explorer_unit() { en: "unit", ru: "нейрон" }
    explorer_votes() {
        en: "what each pixel adds: red more, blue less",
        ru: "вклад каждого пикселя: красный больше, синий меньше",
    }
    explorer_layers_heading() { en: "Every layer", ru: "Все слои" }
    explorer_layers_hint() {
        en: "A click on a map chooses its filter, a click on a bar its unit.",
        ru: "Щелчок по карте выбирает её фильтр, щелчок по столбику — нейрон.",
    }
    explorer_maps(count, height, width) {
        en: "maps: {count}, each {height} × {width}",
        ru: "карт: {count}, каждая {height} × {width}",
    }
    explorer_units(count) { en: "units: {count}", ru: "нейронов: {count}" }
    explorer_flatten(count) {
        en: "all numbers in one row: {count}",
        ru: "все числа в один ряд: {count}",
    }
    explorer_dropout() {
        en: "works only while the network learns, changes nothing here",
        ru: "работает, только пока сеть учится, здесь ничего не меняет",
    }
    explorer_range_own(low, high) {
        en: "each map in its own colours; all numbers: {low} … {high}",
        ru: "у каждой карты своя шкала; все числа: {low} … {high}",
    }
    explorer_range_one(low, high) {
        en: "dark {low}, bright {high}",
        ru: "тёмный {low}, светлый {high}",
    }
    explorer_weights() { en: "Weights of each unit", ru: "Веса каждого нейрона" }
    explorer_weights_range(low, high) {
        en: "Weights of each unit as a picture: blue less than 0, red more; all: {low} … {high}",
        ru: "Веса каждого нейрона картинкой: синие меньше 0, красные больше; все: {low} … {high}",
    }

    // The lab: the table
    lab_name() { en: "Variant", ru: "Опыт" }
    lab_layers() { en: "Layers", ru: "Слои" }
    lab_seconds() { en: "s per epoch", ru: "с на эпоху" }
    lab_train() { en: "Train, %", ru: "Обучение, %" }
    lab_validation() { en: "Validation, %", ru: "Валидация, %" }
    lab_prediction() { en: "Predicted, %", ru: "Прогноз, %" }
    lab_predicted(name, percent) {
        en: "Predicted for “{name}”: {percent:.1} % on the validation data",
        ru: "Прогноз для «{name}»: {percent:.1} % на валидации",
    }
    lab_not_percent(percent) {
        en: "a prediction is in percent, more than 1 and at most 100; this is {percent}: write 86 for 86 %",
        ru: "прогноз задают в процентах, больше 1 и не больше 100, а это {percent}: для 86 % напишите 86",
    }
    lab_difference() { en: "vs row 1, pp", ru: "Разница с 1-й, п.\u{a0}п." }
    lab_nothing_yet() {
        en: "Nothing to compare yet: lab.run(\"a name\", [layers], &images, &labels, Fit::epochs(3)) adds a row",
        ru: "Сравнивать пока нечего: строку добавит lab.run(\"имя\", [слои], &images, &labels, Fit::epochs(3))",
    }
    lab_no_such_row(name, names) {
        en: "there is no row \"{name}\": run its cell first; the rows are {names}",
        ru: "строки \"{name}\" нет: сначала запустите её ячейку; есть строки {names}",
    }
    lab_replaced(name, layers) {
        en: "The row “{name}” was replaced; it had {layers}. To keep both, give the new one another name",
        ru: "Строка «{name}» заменена; в ней было {layers}. Чтобы остались обе, дайте новой другое имя",
    }
    lab_interrupted(name, epoch, epochs) {
        en: "\"{name}\" was interrupted in epoch {epoch}/{epochs}: the table is as it was, run the cell again for its row",
        ru: "«{name}»: прервано в эпоху {epoch}/{epochs}, таблица осталась прежней; чтобы строка появилась, запустите ячейку ещё раз",
    }

    // The lab: what an exercise's check says
    lab_done() { en: "Done", ru: "Сделано" }
    lab_not_yet() { en: "Not yet", ru: "Пока нет" }
    lab_compared(reference) {
        en: "compared with “{reference}”, the first row",
        ru: "в сравнении с «{reference}», первой строкой",
    }
    lab_stopped_in_time() {
        en: "the training stopped in time",
        ru: "обучение остановилось вовремя",
    }
    lab_found(name, parameters, seconds, difference, chance) {
        en: "“{name}”: parameters {parameters}, seconds per epoch {seconds}, validation accuracy {difference} pp, {chance}",
        ru: "«{name}»: параметры {parameters}, секунды на эпоху {seconds}, точность на валидации {difference} п. п., {chance}",
    }
    lab_more_than_chance(margin) {
        en: "more than chance (±{margin})",
        ru: "это больше случайного (±{margin})",
    }
    lab_may_be_chance(margin) {
        en: "which may be chance (±{margin})",
        ru: "возможно, это случайность (±{margin})",
    }
    lab_once(margin) {
        en: "which may be chance: one training each (±{margin})",
        ru: "возможно, это случайность: обучали по одному разу (±{margin})",
    }
    lab_not_alike(what) {
        en: " — but something else differs too: {what}",
        ru: " — но отличается и другое: {what}",
    }
    lab_other_layers() { en: "the other layers", ru: "остальные слои" }
    lab_epochs() { en: "the number of epochs", ru: "число эпох" }
    lab_fraction() { en: "the fraction of the data", ru: "доля данных" }
    lab_batch_size() { en: "the batch size", ru: "размер пачки" }
    lab_stopped(name, epoch, epochs, loss, seconds) {
        en: "“{name}”: stopped after epoch {epoch} of {epochs} with loss {loss}, about {seconds} s saved",
        ru: "«{name}»: остановлено после эпохи {epoch} из {epochs} с потерями {loss}, сэкономлено около {seconds} с",
    }
    lab_no_row() {
        en: "the table is empty. Run the cell with the lesson's network first: the others are compared with it.",
        ru: "таблица пуста. Сначала запустите ячейку с сетью урока: с ней сравниваются остальные.",
    }
    lab_no_convolution(reference) {
        en: "the first row, “{reference}”, has no conv2d to change. Run the lesson's network under this name.",
        ru: "в первой строке, «{reference}», нет conv2d, менять нечего. Запустите под этим именем сеть урока.",
    }
    lab_no_other_filters(reference, filters) {
        en: "no variant differs from “{reference}” in the number of filters and in nothing else. Change the first number in every conv2d line, say to {filters}, and run the cell.",
        ru: "ни один опыт не отличается от «{reference}» числом фильтров и больше ничем. Замените первое число в каждой строке conv2d, например на {filters}, и запустите ячейку.",
    }
    lab_one_other_filters(name, there, filters) {
        en: "{there} filters have been tried, in the row “{name}”, and one more number is needed. Use {filters} filters in every conv2d, give the row a name of its own, and run the cell.",
        ru: "фильтров: {there} уже есть, в строке «{name}», нужно ещё одно число. Поставьте во всех conv2d фильтров: {filters}, дайте строке своё имя и запустите ячейку.",
    }
    lab_mixed_filters(name, numbers) {
        en: "the convolutions of “{name}” have different numbers of filters: {numbers}. Use the same number in every conv2d and run the cell.",
        ru: "у свёрток в строке «{name}» разное число фильтров: {numbers}. Поставьте во всех conv2d одно и то же число и запустите ячейку.",
    }
    lab_last_convolution_stays(reference, layer) {
        en: "no variant has all the convolutions of “{reference}” but the last. Delete the line of the last one, {layer}, and run the cell.",
        ru: "ни в одном опыте не убрана последняя свёртка сети «{reference}». Удалите её строку, {layer}, и запустите ячейку.",
    }
    lab_more_than_the_last_went(name, layer) {
        en: "“{name}” has one convolution fewer, but that is not all that is different. Only the line of the last one, {layer}, should go; every max_pooling2d stays.",
        ru: "в «{name}» на одну свёртку меньше, но изменилось не только это. Удалить надо одну строку, последнюю свёртку {layer}; все max_pooling2d остаются.",
    }
    lab_first_row(reference) {
        en: "the others are compared with the first row, and that is “{reference}”. If it isn't the lesson's network, run the cell with Comparison::new() again, then the one with the lesson's network, then yours.",
        ru: "остальные сравниваются с первой строкой, а это «{reference}». Если это не сеть урока, запустите снова ячейку с Comparison::new(), потом ячейку с сетью урока, потом свою.",
    }
    lab_no_more_convolutions(reference, count) {
        en: "no variant has more convolutions than “{reference}” (conv2d lines there: {count}). Add one before flatten() and run the cell.",
        ru: "ни в одном опыте нет больше свёрток, чем в «{reference}» (строк conv2d в ней: {count}). Добавьте ещё одну перед flatten() и запустите ячейку.",
    }
    lab_not_one_convolution() {
        en: "no variant has just one conv2d and one pooling. Delete the other conv2d and max_pooling2d lines and run the cell.",
        ru: "ни в одном опыте не остались одна свёртка и один пулинг. Удалите остальные строки conv2d и max_pooling2d и запустите ячейку.",
    }
    lab_first_pooling_stays(name) {
        en: "“{name}” has lost the pooling behind the first convolution too. Put max_pooling2d(2, 2) back and run the cell.",
        ru: "в «{name}» убран и пулинг после первой свёртки. Верните max_pooling2d(2, 2) и запустите ячейку.",
    }
    lab_nothing_stops() {
        en: "no variant has a function that could stop it. Give its Fit an .on_epoch_end(…) and run the cell.",
        ru: "ни в одном опыте нет функции, которая могла бы остановить обучение. Добавьте к Fit вызов .on_epoch_end(…) и запустите ячейку.",
    }
    lab_one_epoch(name) {
        en: "“{name}” had a single epoch, there was nothing to stop. Write Fit::epochs(10) and run the cell.",
        ru: "в «{name}» всего одна эпоха, останавливать нечего. Напишите Fit::epochs(10) и запустите ячейку.",
    }
    lab_stopped_at_once(name, loss) {
        en: "“{name}” stopped right after its first epoch, as a function that always returns Break would. Return Break only when the loss has fallen below a value that is less than {loss}, and run the cell.",
        ru: "«{name}»: остановлено сразу после первой эпохи, как если бы функция всегда возвращала Break. Возвращайте Break, только когда потери опустятся ниже порога, который меньше {loss}, и запустите ячейку.",
    }
    lab_went_through(name, epochs, first, last) {
        en: "“{name}” went through all its epochs ({epochs}); the loss went {first} → {last}. Return Break when it falls below a value in between, and run the cell.",
        ru: "«{name}»: пройдены все эпохи ({epochs}), потери {first} → {last}. Возвращайте Break, когда потери опустятся ниже порога между этими числами, и запустите ячейку.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in braces, sorted.
    fn arguments(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split(['}', ':']).next())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn both_languages_say_everything() {
        for (name, en, ru) in TABLE {
            assert_eq!(arguments(en), arguments(ru), "{name}");
            assert!(!en.is_empty() && !ru.is_empty(), "{name}");
            assert!(!en.contains('\n') && !ru.contains('\n'), "{name}: one line");
            assert!(
                en.is_ascii() || !en.chars().any(|c| ('а'..='я').contains(&c)),
                "{name}: Cyrillic in English"
            );
        }
    }

    #[test]
    fn language_is_the_learners_then_the_systems() {
        let with = |pairs: &[(&str, &str)]| {
            choose(|name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.to_string())
            })
        };
        assert_eq!(with(&[]), Language::English);
        assert_eq!(with(&[("LANG", "ru_RU.UTF-8")]), Language::Russian);
        assert_eq!(with(&[("LANG", "C.UTF-8")]), Language::English);
        assert_eq!(
            with(&[("LANG", "ru_RU"), ("LC_ALL", "en_GB")]),
            Language::English
        );
        assert_eq!(
            with(&[("SVERTKA_LANG", "en"), ("LANG", "ru_RU")]),
            Language::English
        );
        assert_eq!(
            with(&[("SVERTKA_LANG", ""), ("LANG", "ru_RU")]),
            Language::Russian
        );
        assert_eq!(
            with(&[("LC_MESSAGES", "ru_RU"), ("LANG", "en_GB")]),
            Language::Russian
        );
        for value in ["ru", "RU", "Ru_RU.UTF-8", "russian"] {
            assert_eq!(
                with(&[("SVERTKA_LANG", value)]),
                Language::Russian,
                "{value}"
            );
        }
        for value in ["en", "de", "C", "POSIX", "uk_RU"] {
            assert_eq!(
                with(&[("SVERTKA_LANG", value)]),
                Language::English,
                "{value}"
            );
        }
    }
}
