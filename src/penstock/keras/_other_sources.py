"""`ImageDataGenerator`'s flows from elsewhere than arrays and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from penstock.keras._dataset_flow import DatasetIterator
from penstock.keras._image_keywords import FlowKeywords, ImageKeywords, flow_keywords
from penstock.keras._shard_flow import ShardIterator
from penstock.keras._sql_flow import SqlIterator


class OtherSources:
    """What `ImageDataGenerator` has beside Keras's methods; images are transformed and fed as those of files are."""

    data_format: Any
    dtype: Any
    pool: Any

    def flow_from_sql(
        self,
        database: Any,
        table: Any,
        image_column: str = "image",
        label_column: Any = "label",
        key_column: str = "id",
        weight_column: str | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        schema: str | None = None,
        classes: Iterable[Any] | None = None,
        class_mode: str | None = "categorical",
        **keywords: Unpack[ImageKeywords],
    ) -> SqlIterator:
        """Batches from images in a database that SQLAlchemy knows, a row for each.

        Keys and labels are read once, here; so they have to fit into memory. Samples are in the order of their keys, as
        Python sorts them. Each batch fetches its images by key, in one query, `WHERE key IN (...)`: an index on the key
        makes that fast. Nothing is ever written to the database.

        Each worker has a connection of its own, closed with the flow. One that is lost is made anew, for some seconds;
        then the batch is an error, and the next call asks again. A row that is gone, or holds no image, is an
        `ImageError` with table and key for its name, and `on_error` has an answer for it. User and password are in no
        message, record or fingerprint.

        Args:
            database: a URL, as "sqlite:///photos.db" or "postgresql+psycopg://user:password@host/name", or an engine of
                SQLAlchemy's, of which the URL is taken and nothing else. A file, not ":memory:", for SQLite.
            table: the name of a table or view; or a select statement, as text or of SQLAlchemy's, also with values:
                `sqlalchemy.text("SELECT * FROM photos WHERE year > :y").bindparams(y=2020)`.
            image_column: encoded images (bytes), or file names (text), which are read as files.
            label_column: labels or values; a list of columns for "multi_output", and for "raw" if there are several.
            key_column: a different integer, text or the like for each row.
            weight_column: sample weights.
            directory: that file names are relative to; None for absolute ones.
            schema: that the table is in; None for the default one.
            classes: those to keep, in the order of their numbers; rows of others are left out.
            class_mode: "categorical" (one-hot; lists of labels give several ones), "binary" or "sparse" (numbers, as
                floats), "raw" (the values), "multi_output" (a list of arrays, one for each column), "input" (the
                images), None (images alone). Classes may be text or integers.
            **keywords: those of `flow_from_dataframe` from `target_size` on, with the same defaults: `target_size`,
                `color_mode`, `batch_size`, `shuffle`, `seed`, `save_to_dir`, `save_prefix`, `save_format`, `subset`,
                `interpolation`, `keep_aspect_ratio`, `decode`, `workers`, `max_queue_size`, `max_queue_bytes`,
                `use_multiprocessing`, `timeout`, `pool`, `on_error` and `shard`. A query may take `timeout` seconds,
                too: PostgreSQL is told so, and the connection to a server that stands still is cut (psycopg's, and
                others that are a socket).

        Returns:
            A flow that yields `(images, labels)`, `(images, labels, weights)`, or `images` for `class_mode=None`.

        Raises:
            ConnectionError: the database does not answer.
            ImportError: SQLAlchemy, of the extra `sql`, is not installed, or no driver for this database.
            TypeError: values of a wrong type, or a keyword that does not exist.
            ValueError: no such database, table, column or class, a statement that lacks values, or keys that are
                missing or doubled.

        Example:
            >>> import io, sqlite3, tempfile
            >>> from PIL import Image
            >>> from penstock import ImageDataGenerator
            >>> folder = tempfile.TemporaryDirectory()
            >>> database = sqlite3.connect(folder.name + "/photos.db")
            >>> _ = database.execute("CREATE TABLE photos (id INTEGER PRIMARY KEY, image BLOB, label TEXT)")
            >>> for label in ("cat", "dog"):
            ...     Image.new("RGB", (40, 30)).save(file := io.BytesIO(), "JPEG")
            ...     _ = database.execute("INSERT INTO photos (image, label) VALUES (?, ?)", (file.getvalue(), label))
            >>> database.commit(), database.close()
            (None, None)
            >>> generator, url = ImageDataGenerator(horizontal_flip=True), f"sqlite:///{folder.name}/photos.db"
            >>> with generator.flow_from_sql(url, "photos", target_size=(32, 32)) as flow:
            ...     images, labels = next(flow)
            Found 2 images in 'photos' belonging to 2 classes.
            >>> images.shape, flow.class_indices, flow.keys
            ((2, 32, 32, 3), {'cat': 0, 'dog': 1}, [1, 2])
            >>> folder.cleanup()
        """
        return SqlIterator(
            database,
            table,
            self,  # type: ignore[arg-type]
            image_column=image_column,
            label_column=label_column,
            key_column=key_column,
            weight_column=weight_column,
            directory=directory,
            schema=schema,
            classes=classes,
            class_mode=class_mode,
            **self._flow_keywords("flow_from_sql", keywords),
        )

    def flow_from_dataset(
        self,
        dataset: Any,
        image_column: str = "image",
        label_column: Any = "label",
        weight_column: str | None = None,
        *,
        classes: Iterable[Any] | None = None,
        class_mode: str | None = "categorical",
        **keywords: Unpack[ImageKeywords],
    ) -> DatasetIterator:
        """Batches from images in a `Dataset` of Hugging Face's.

        Samples are in the order of its rows, those of `select`, `shuffle` and `filter` included. Labels are read once,
        here; images are taken as they are encoded, when they are due, and decoded by penstock: as of files, what Exif
        says of their orientation is left alone, where `dataset[i]` turns them. Worker processes map a data set's Arrow
        files, or share one copy of what is in memory; each takes a second to import the package.

        Args:
            dataset: a `datasets.Dataset`, such as one split of what `load_dataset` returns. Streamed ones have no
                random access, and are refused.
            image_column: `datasets.Image`, encoded images (binary), or file names (string).
            label_column: labels or values; a list of columns for "multi_output", and for "raw" if there are several.
                Those of a `ClassLabel` become their names, numbered as there.
            weight_column: sample weights.
            classes: those to keep, in the order of their numbers; rows of others are left out.
            class_mode: as in `flow_from_sql`.
            **keywords: as in `flow_from_sql`.

        Returns:
            A flow that yields `(images, labels)`, `(images, labels, weights)`, or `images` for `class_mode=None`.

        Raises:
            ImportError: the package, of the extra `datasets`, is not installed.
            TypeError: no `Dataset`, values of a wrong type, or a keyword that does not exist.
            ValueError: no such column, or a value out of range.

        Example:
            >>> from datasets import ClassLabel, Dataset, Features, Image
            >>> from PIL.Image import new
            >>> from penstock import ImageDataGenerator
            >>> features = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
            >>> rows = {"image": [new("RGB", (40, 30))] * 4, "label": [1, 0, 1, 1]}
            >>> dataset = Dataset.from_dict(rows, features)
            >>> with ImageDataGenerator(zoom_range=0.2).flow_from_dataset(dataset, target_size=(32, 32)) as flow:
            ...     images, labels = next(flow)
            Found 4 images belonging to 2 classes.
            >>> images.shape, flow.class_indices, flow.labels
            ((4, 32, 32, 3), {'cat': 0, 'dog': 1}, [1, 0, 1, 1])
        """
        return DatasetIterator(
            dataset,
            self,  # type: ignore[arg-type]
            image_column=image_column,
            label_column=label_column,
            weight_column=weight_column,
            classes=classes,
            class_mode=class_mode,
            **self._flow_keywords("flow_from_dataset", keywords),
        )

    def flow_from_shards(
        self,
        shards: Any,
        image: str = "jpg;jpeg;png",
        label: str = "cls",
        *,
        label_field: Any = None,
        classes: Iterable[Any] | None = None,
        class_mode: str | None = "categorical",
        storage_options: Mapping[str, Any] | None = None,
        **keywords: Unpack[ImageKeywords],
    ) -> ShardIterator:
        """Batches from images in tar archives as WebDataset has them: "00017.jpg" and "00017.cls" are one sample.

        Archives are not streamed: their headers and labels are read once, here, and each image from its place when it
        is due. So all samples of all archives are shuffled, and a batch costs no more than one of files. Nothing is
        extracted to disk, and nothing unpickled. Compressed archives have no such places, and are refused: images are
        compressed themselves, so decompressing them once costs next to no disk.

        Of archives behind URLs, too, each image is a request of its own. Headers lie between images, so listing them
        reads the archives through, once for each flow, eight at a time.

        An archive that is written anew while the flow is in use is an `ImageError`; behind a URL, where it has become
        shorter.

        Args:
            shards: a path with numbers or words in braces ("train-{0000..0009}.tar"), a pattern ("train-*.tar"), or a
                folder, all of whose `.tar` files count; or a list of such. URLs as for `flow_from_directory` are taken,
                too ("s3://bucket/train-{0000..0099}.tar"): patterns with `*` in their last part, folders with a slash
                at the end.
            image: what names of images end in; of several, apart by semicolons, the first that a sample has.
            label: what names of labels end in: "cls", "id" or "index" for numbers, "txt" for text, "json".
            label_field: of labels in JSON; a list of fields for "multi_output", and for "raw" if there are several;
                None for all of the JSON.
            classes: those to keep, in the order of their numbers; samples of others are left out.
            class_mode: as in `flow_from_sql`.
            storage_options: of URLs, as in `flow_from_directory`.
            **keywords: as in `flow_from_sql`.

        Returns:
            A flow that yields `(images, labels)`, or `images` for `class_mode=None`.

        Raises:
            ImportError: fsspec, or what it needs for such URLs, is not installed.
            OSError: an archive cannot be read.
            TypeError: values of a wrong type, or a keyword that does not exist.
            ValueError: no such archives, one that is compressed or damaged, no images or labels, or a value out of
                range.

        Example:
            >>> import io, tarfile, tempfile
            >>> from PIL import Image
            >>> from penstock import ImageDataGenerator
            >>> folder = tempfile.TemporaryDirectory()
            >>> with tarfile.open(folder.name + "/train-0.tar", "w") as archive:
            ...     for k in range(4):
            ...         Image.new("RGB", (40, 30)).save(file := io.BytesIO(), "JPEG")
            ...         for name, data in ((f"{k:05}.jpg", file.getvalue()), (f"{k:05}.cls", b"%d" % (k % 2))):
            ...             member = tarfile.TarInfo(name)
            ...             member.size = len(data)
            ...             archive.addfile(member, io.BytesIO(data))
            >>> generator, shards = ImageDataGenerator(shear_range=9), folder.name + "/train-{0..0}.tar"
            >>> with generator.flow_from_shards(shards, target_size=(32, 32), shuffle=False) as flow:
            ...     images, labels = next(flow)
            Found 4 images in 1 archives belonging to 2 classes.
            >>> images.shape, flow.class_indices, flow.filenames[1]
            ((4, 32, 32, 3), {0: 0, 1: 1}, 'train-0.tar/00001.jpg')
            >>> folder.cleanup()
        """
        return ShardIterator(
            shards,
            self,  # type: ignore[arg-type]
            image=image,
            label=label,
            label_field=label_field,
            classes=classes,
            class_mode=class_mode,
            storage_options=storage_options,
            **self._flow_keywords("flow_from_shards", keywords),
        )

    def _flow_keywords(self, method: str, keywords: ImageKeywords) -> FlowKeywords:
        if keywords.get("pool") is None:
            keywords["pool"] = self.pool
        return flow_keywords(method, keywords, data_format=self.data_format, dtype=self.dtype)
