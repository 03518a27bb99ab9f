"""Installs the five packages; Beam ships them to its workers with --setup_file."""

from setuptools import setup

setup(
    name="clipmill",
    version="0.1.0",
    description="Video clips in, versioned MindRecord data sets out, TSM trained",
    # The package names are generic, so this must never reach a public index.
    classifiers=["Private :: Do Not Upload"],
    packages=[
        "eval",
        "eval.device",
        "eval.running",
        "eval.zoo",
        "infra.configs",  # no code: the files that --config_path takes by their names
        "mindrecord_io",
        "mindrecord_io.commands",
        "mindrecord_io.serving",
        "mindrecord_io.shards",
        "mindrecord_io.storage",
        "mindrecord_io.versions",
        "model",
        "pipelines",
        "pipelines.browse",
        "pipelines.building",
        "pipelines.decoding",
        "pipelines.jobs",
        "pipelines.planning",
        "pipelines.publishing",
        "pipelines.report",
        "pipelines.sources",
        "pipelines.synthetic",
        "train",
    ],
    package_data={
        "infra.configs": ["*.yaml", "*.json"],
        "mindrecord_io": ["py.typed"],
        "pipelines.decoding": ["probes/*"],
        "pipelines.browse": ["page.css", "page.js"],
    },
    entry_points={"console_scripts": ["clipmill = pipelines.__main__:start"]},
    python_requires=">=3.11,<3.13",  # av has no wheel for 3.10, mindspore none for 3.13
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "av>=18.1,<19",
        "ffmpeg-python>=0.2,<0.3",
        "grpcio>=1.62",  # of the version that apache-beam brings
        "imageio-ffmpeg>=0.6",
        "mindspore>=2.9,<2.10",  # 2.10 needs a protobuf that apache-beam refuses
        "numpy>=1.26,<2",
        "obstore>=0.8",
        "opencv-python-headless>=4.10,<4.12",  # 4.12 needs numpy 2
        "pyarrow>=18",
        "PyYAML>=6",
        "safetensors>=0.4",
        "simplejpeg>=1.8",
        "starlette>=1.0",
        "tensorboardX>=2.6",
        "tqdm>=4.66",
        "uvicorn>=0.30",
    ],
    extras_require={
        # What infra/benchmarks/feed.py and remote.py measure beside our reader.
        "bench": ["mosaicml-streaming>=0.13", "pylance>=14", "webdataset>=1.0"],
        "cloud": ["apache-beam[aws,gcp]>=2.77,<2.78"],
        "dask": ["apache-beam[dask]>=2.77,<2.78"],  # for --runner=DaskRunner
        # .onnx files: comparing them when they are written, and those of a stream.
        "onnx": ["onnx>=1.16", "onnxruntime>=1.20"],
        "test": [
            "axe-playwright-python>=0.1.8",  # brings axe itself
            "flask>=3",  # moto's server, with flask-cors
            "flask-cors>=6",
            "gcp-storage-emulator>=2026.7",
            "kubernetes-validate>=1.34",  # the schemas come with it
            "moto[s3]>=5.1",
            "mypy>=1.15",
            "onnx>=1.16",
            "onnxruntime>=1.20",
            "playwright>=1.50",  # drives Debian's Chromium
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.11",
            "setuptools>=68",  # a virtual environment of Python 3.12 has none
            "types-PyYAML",
            "types-tqdm",
        ],
        # Before 2.10 a crafted file can do harm in spite of weights_only.
        "torch": ["torch>=2.10"],
    },
)
