"""Why a command ended as it did, in codes for programs.

A code keeps its meaning; messages may change. :attr:`isocenter.core.errors.IsocenterError.reason`
holds one, and so do the document of ``--json`` and the lines of ``--log``.
"""

from __future__ import annotations

import errno

from isocenter.core.errors import IsocenterError

DONE = {
    "done": "everything was done",
    "already_there": "the same run had been made before; its files were checked and left",
    "forced": "done with `--force`, although a rule was broken; the warnings say which",
}

REFUSED = {
    "usage": "the command line cannot be understood",
    "refused": "a refusal of a kind without a code of its own",
    "input": "what was given cannot be worked on",
    "setting": "a setting is unknown, of another type or outside its limits",
    "series_choice": "several series fit, or none is called as given; one must be named",
    "no_such_input": "the input does not exist",
    "unreadable": "not DICOM, damaged, truncated or not decodable",
    "damaged_files": "files beside the series cannot be read; slices may be missing",
    "no_series_fits": "no series can be used, each for a reason of its own",
    "identity": "images cannot be told apart, or one UID names several",
    "not_ct": "no CT image series",
    "not_mr": "no MR image series",
    "header": "a header that no result could carry on",
    "mixed_patients": "the images name more than one patient",
    "mixed_studies": "the images name more than one study",
    "sessions_apart": "the images were taken in sessions that lie too far apart, or may",
    "mixed_frames_of_reference": "the images name more than one frame of reference",
    "mixed_modalities": "the images name more than one modality",
    "mixed_patient_positions": "the patient lies otherwise in some images",
    "mixed_tilts": "the gantry is tilted otherwise in some images",
    "mixed_localizers": "some images are localizers and others are not",
    "pixel_description": "the header does not say how pixels are stored",
    "unreadable_files": "files beside the series cannot be opened; slices may be missing",
    "mixed_kinds": "the series mixes kinds of images",
    "mixed_sizes": "the series mixes image sizes",
    "mixed_orientations": "the series mixes orientations",
    "mixed_spacings": "the series mixes pixel spacings",
    "mixed_kernels": "the series mixes reconstruction kernels",
    "already_enhanced": "a model made these images",
    "localizer": "a localizer (scout)",
    "color": "color images",
    "document": "a document inside DICOM, whose content cannot be de-identified",
    "rescale": "rescale slope or intercept is missing or cannot be meant",
    "rescale_type": "the values are no Hounsfield units",
    "geometry": "spacing, position or orientation is missing or cannot be meant",
    "orientation": "an orientation that is not accepted",
    "gantry_tilt": "slices lie along a line that is not at right angles to them",
    "duplicate_positions": "several slices lie at one position",
    "uneven_slices": "slices are missing or unevenly spaced",
    "bit_depth": "pixels are stored in a way that is not read",
    "transfer_syntax": "a transfer syntax that is not read",
    "body_part": "not the part of the body that the model was made for",
    "contrast": "an image is not of the contrast that it was named, or none is of one that is used",
    "skull": "some images show the skull, from others it was taken away",
    "registration": "images could not be laid on each other, or the check of that failed",
    "trunk": "the cross-section is none of a trunk",
    "pixel_shape": "pixels are not square",
    "pixel_spacing": "pixel spacing outside what the model has seen",
    "field_of_view": "field of view outside what the model has seen",
    "slice_thickness": "slice thickness outside what the model has seen",
    "noise_level": "noise level outside what the model has seen",
    "noise_texture": "noise texture outside what the model has seen",
    "b_value": "a b-value is missing, contradicts another or is in another unit",
    "b_values": "b-values outside what an ADC of the brain is known for",
    "not_diffusion": "no diffusion-weighted images",
    "one_b_value": "images of one b-value alone",
    "echo_time": "images of b-values that were taken with other echo or repetition times",
    "directions": "too few directions of diffusion weighting",
    "head": "the cross-section is none of a head",
    "attenuation": "the images are not weaker by what their b-values say",
    "matrix": "the two series have other rows or columns",
    "position": "the two series do not lie in one place",
    "unit": "the two series are in different units, or in one that is not accepted",
    "values": "values that are not finite",
    "range": "a range to score by is missing or does not fit",
    "noise": "noise could not be measured",
    "lesion_places": "too few places for lesions",
    "model": "a model folder is incomplete or of another kind, or the model gave no numbers",
    "no_such_model": "the model folder does not exist",
    "model_altered": "a file of the model is missing or not the one that its checksums list",
    "only_copies": "the model gave nothing but copies of images it was trained on",
    "output": "the place to write to cannot be used",
    "output_taken": "the place to write to holds something else",
    "output_busy": "another run is writing there now",
    "result_altered": "the same result is there, but its files were changed",
    "not_writable": "the system does not let us write there",
    "disk_full": "the disk is full, or a quota is used up; nothing half-written stays",
    "store_busy": "the database of the gateway is locked or cannot be reached",
    "gateway_failed": "a part of the gateway ended that must not end; start it again",
    "log_not_writable": "the file of `--log` cannot be opened or written",
}

FAILED = {
    "unexpected": "something that should not happen; please report it",
    "system": "the system refused something, such as to read a file",
    "out_of_memory": "memory, or that of the graphics card, did not suffice",
}

STOPPED = {
    "interrupted": "Ctrl-C (SIGINT)",
    "terminated": "asked to end (SIGTERM)",
    "hung_up": "the terminal was closed (SIGHUP)",
}


ALL = DONE | REFUSED | FAILED | STOPPED

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def reason_of(error: BaseException) -> str:
    """The code of an error, whoever raised it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory"
    if isinstance(error, OSError):
        return "disk_full" if error.errno in _DISK_FULL else "system"
    return error.reason if isinstance(error, IsocenterError) else "unexpected"


def reason_not_written(error: OSError) -> str:
    """The code of a failure to write."""
    return "disk_full" if error.errno in _DISK_FULL else "not_writable"
