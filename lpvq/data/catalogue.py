"""The sets of images that others have published: where they come from, and what their files are, byte for byte."""

from typing import NamedTuple


class PublishedSet(NamedTuple):
    """A set of images that others have published.

    Attributes:
        folder: where its files lie below a folder of data sets; the layout is torchvision's.
        class_names: what the labels 0, 1, … mean.
        number: how many images each split has.
        url: where it is downloaded from, always by https: of an archive with all the files in ``folder``, or, with
            ``{file}`` in it, of each gzipped file.
        sha256: its files, and the SHA-256 of each as it is uncompressed, in hexadecimal digits. Who packed a file, and
            how, then makes no difference, and no other file is ever taken for it.
    """

    folder: str
    class_names: tuple[str, ...]
    number: dict[str, int]
    url: str
    sha256: dict[str, str]


_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# The sums of Fashion-MNIST were computed from its files. Those of MNIST and of CIFAR-10 are the ones that several
# projects publish independently of each other, for files with the MD5s that torchvision expects.
PUBLISHED_SETS = {
    # Xiao, Rasul, Vollgraf (2017), arXiv:1708.07747.
    "fashion_mnist": PublishedSet(
        folder="FashionMNIST/raw",
        class_names=_CLOTHES,
        number={"train": 60_000, "test": 10_000},
        url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{file}.gz",
        sha256={
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    # LeCun, Cortes, Burges: The MNIST database of handwritten digits.
    "mnist": PublishedSet(
        folder="MNIST/raw",
        class_names=tuple("0123456789"),
        number={"train": 60_000, "test": 10_000},
        url="https://ossci-datasets.s3.amazonaws.com/mnist/{file}.gz",
        sha256={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    # Krizhevsky (2009): Learning multiple layers of features from tiny images.
    "cifar10": PublishedSet(
        folder="cifar-10-batches-py",
        class_names=_THINGS,
        number={"train": 50_000, "test": 10_000},
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        sha256={
            "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
            "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
            "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
            "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
            "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
            "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
        },
    ),
}
