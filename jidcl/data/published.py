"""What is published about data sets: licences, names and MD5 sums of files.

Sources of the sums: the sets' own pages, as the readers of torchvision repeat them.
"""

# The file of all points of a scene's grid.
GRIDS = {
    "sprites": "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    "shapes3d": "3dshapes.h5",
}
_UNKNOWN = "not known to jidcl: read what came with the files"
LICENCES = {
    "cifar": (
        "no explicit licence; offered for research with a request to cite Krizhevsky "
        "2009. The pictures are from the web and their rights stay with their owners; "
        "a labelled subset of 80 Million Tiny Images, withdrawn in 2020"
    ),
    "mnist": (
        "MNIST (LeCun, Cortes; of NIST material): commonly stated as CC BY-SA 3.0; "
        "Fashion-MNIST: MIT, Zalando SE. Others in this layout have their own"
    ),
    "smallnorb": (
        "provided for research; it cannot be sold; cite LeCun, Huang, Bottou 2004"
    ),
    "cars3d": "none stated; cite Reed, Zhang, Zhang, Lee 2015",
    "dsprites": (
        "Apache 2.0 (google-deepmind/dsprites-dataset); cite Matthey et al. 2017"
    ),
    "shapes3d": "Apache 2.0 (google-deepmind/3d-shapes); cite Burgess and Kim 2018",
    "mpi3d": "CC BY 4.0; cite Gondal et al. 2019",
    "kitti": (
        "KITTI and KITTI MOTS: CC BY-NC-SA 3.0: attribution, non-commercial, share "
        "alike; what is derived from them stays under it. Cite Geiger et al. 2012, "
        "Voigtlaender et al. 2019, Klindt et al. 2021"
    ),
    "imagenet-x": (
        "CC BY-NC 4.0: attribution, non-commercial (facebookresearch/imagenetx); cite "
        "Idrissi et al. 2023. The pictures of ImageNet are not part of it"
    ),
    "3dident": (
        "3DIdent: as stated at Zenodo record 4502485; cite Zimmermann et al. 2021. A "
        "set of your own is yours"
    ),
    "causal3dident": (
        "as stated at Zenodo record 4784282; cite von Kuegelgen et al. 2021"
    ),
    "class-folders": (
        "ImageNet: non-commercial research and education, by agreement with "
        "image-net.org; rights of the pictures stay with their owners. Of other sets: "
        + _UNKNOWN
    ),
    "unknown": _UNKNOWN,
}

_MNIST = {
    "train-images-idx3-ubyte.gz": {
        "f68b3c2dcbeaaa9fbdd348bbdeb94873": "MNIST",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "Fashion-MNIST",
    },
    "train-labels-idx1-ubyte.gz": {
        "d53e105ee54ea40749a09fcbcd1e9432": "MNIST",
        "25c81989df183df01b3e8a0aad5dffbe": "Fashion-MNIST",
    },
    "t10k-images-idx3-ubyte.gz": {
        "9fb629c4189551a2d022fa330f9573f3": "MNIST",
        "bef4ecab320f06d8554ea6380940ec79": "Fashion-MNIST",
    },
    "t10k-labels-idx1-ubyte.gz": {
        "ec29112dd5afa0611ce80d1b7f02629c": "MNIST",
        "bb300cfdad3c16e7a12a480ee83cd310": "Fashion-MNIST",
    },
}
_CIFAR10 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_CIFAR100 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}
HASHES = {
    "mnist": _MNIST,
    "cifar10-python": {file: {md5: "CIFAR-10"} for file, md5 in _CIFAR10.items()},
    "cifar100-python": {file: {md5: "CIFAR-100"} for file, md5 in _CIFAR100.items()},
}
