"""Soft proofs, against the printers' own formulas in float64: profiles that the tests write."""

import json
import subprocess
import sys

import numpy as np
import pytest
from pictures import LINEAR_GRAY, SRGB, WIDE, black_ink_only, encode_srgb, profile
from PIL import Image, ImageCms

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import FileError
from nst_tf.pictures import images
from nst_tf.pictures.proof import TOLERANCE, soft_proof

ONE = 1.01 / 255
#: White under D50, that of profiles; and primaries half way from it to those of sRGB.
WHITE = SRGB.sum(0)
NARROW = 0.5 * SRGB + 0.5 * WHITE / 3


def linear(rgb):
    """IEC 61966-2-1."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(xyz):
    """CIE 15:2004, 8.2.1.1."""
    ratio = xyz / WHITE
    x, y, z = np.moveaxis(
        np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * 841 / 108 + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def luminance(lightness):
    f = (lightness + 16) / 116
    return np.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841)


def narrow_print(xyz):
    """The XYZ of a print by primaries closer to white: what they do not mix is clipped."""
    return np.clip(xyz @ np.linalg.inv(NARROW), 0, 1) @ NARROW


def black_print(darkest):
    """That of a print in black ink alone: no colour, and nothing darker than the ink."""

    def printed(xyz):
        return luminance(np.maximum(lab(xyz)[..., :1], darkest)) * WHITE

    return printed


@pytest.fixture(scope="module")
def colours():
    """Colours of which a printer's nearest is clearly nearer than the tolerance, or not: 8 bits are
    off by one or two."""
    drawn = np.random.default_rng(0).integers(0, 256, (3000, 3))
    nearly_gray = drawn[:, :1] + drawn[:, 1:] // 128 - 1
    return np.concatenate([drawn, np.column_stack([drawn[:, 0], nearly_gray]).clip(0, 255)]) / 255


PRINTERS = {
    "RGB": (profile(b"RGB ", 2.2, NARROW), narrow_print),
    "CMYK": (black_ink_only(), black_print(0)),
    "a weak black": (black_ink_only(20), black_print(20)),
}


def written(folder, data):
    path = folder / "printer.icc"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", PRINTERS)
def test_outside_is_the_share_that_the_nearest_colours_miss(name, tmp_path, colours):
    data, printed = PRINTERS[name]
    xyz = linear(colours) @ SRGB
    missed = np.linalg.norm(lab(printed(xyz)) - lab(xyz), axis=-1)
    clear = np.abs(missed - TOLERANCE) > 2
    share = np.mean(missed[clear] > TOLERANCE)
    assert 0.1 < share < 0.9 and clear.mean() > 0.7
    proof = soft_proof(colours[clear][np.newaxis], written(tmp_path, data))
    assert proof.outside == pytest.approx(share, abs=1e-12)
    assert proof.printer == "t"


def test_a_gamut_within_the_printers_is_not_outside(tmp_path, colours):
    """Adobe RGB holds all of sRGB: nothing is outside, and the print is the picture."""
    proof = soft_proof(colours[np.newaxis], written(tmp_path, WIDE))
    assert proof.outside == 0
    assert np.abs(proof.picture[0] - colours).mean() < ONE / 2


def test_a_narrow_gamut_clips(tmp_path, colours):
    proof = soft_proof(colours[np.newaxis], written(tmp_path, PRINTERS["RGB"][0]))
    assert proof.picture.dtype == np.float32 and proof.picture.shape == (1, len(colours), 3)
    expected = encode_srgb(narrow_print(linear(colours) @ SRGB) @ np.linalg.inv(SRGB))
    np.testing.assert_allclose(proof.picture[0], expected, atol=2.5 / 255)


@pytest.mark.parametrize("darkest", [0, 20])
def test_black_is_no_blacker_than_the_ink_and_shadows_are_told_apart(tmp_path, colours, darkest):
    """Black point compensation: luminance is scaled to end at that of the ink."""
    proof = soft_proof(colours[np.newaxis], written(tmp_path, black_ink_only(darkest)))
    y = (linear(colours) @ SRGB)[:, 1:2] / WHITE[1]
    ink = luminance(np.float64(darkest))
    expected = encode_srgb(ink + (1 - ink) * y)
    np.testing.assert_allclose(proof.picture[0], np.repeat(expected, 3, -1), atol=3.5 / 255)


def test_littlecms_own_alarm_agrees(tmp_path):
    """It paints gray what it holds to be outside; at the border, where it is coarse, is nothing."""
    path = written(tmp_path, PRINTERS["CMYK"][0])
    picture = np.array([[[1, 0, 0], [0, 0.7, 0.2], [0.8, 0.8, 0.8], [0.2, 0.2, 0.2]]])
    flags = ImageCms.Flags.SOFTPROOFING | ImageCms.Flags.GAMUTCHECK
    srgb, same = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
    check = ImageCms.buildProofTransform(srgb, srgb, str(path), "RGB", "RGB", same, same, flags)
    seen = np.asarray(ImageCms.applyTransform(images.to_pil(picture), check))
    alarm = np.all(seen == 127, -1)
    assert alarm.tolist() == [[True, True, False, False]]
    assert soft_proof(picture, path).outside == alarm.mean()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "No such file"),
        (b"a print, please", "not an ICC profile"),
        (LINEAR_GRAY, "GRAY"),
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "Lab"),
        (WIDE.replace(b"mntr", b"scnr"), "'scnr'"),
        (black_ink_only(ways=[b"A2B0"]), "to CMYK and back"),
    ],
)
def test_what_no_picture_is_printed_by_is_refused_before_the_run(tmp_path, capsys, data, words):
    path = tmp_path / "printer.icc"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FileError, match=words):
        soft_proof(np.zeros((2, 2, 3)), path)
    out = tmp_path / "out.png"
    command = ["stylize", str(assets.SCENE), "missing.jpg", "-o", str(out), f"--proof={path}"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert str(path) in error and words in error and error.count("\n") == 1


def test_a_proof_is_not_written_over_an_input(tmp_path, capsys):
    path, style = written(tmp_path, WIDE), tmp_path / "out-proof.png"
    style.write_bytes(assets.PAINTING.read_bytes())
    out = str(tmp_path / "out.jpg")
    assert main(["stylize", str(assets.SCENE), str(style), "-o", out, f"--proof={path}"]) == 2
    assert "name another output" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--method=reinhard"],
        ["--weights=mini", "--preset=gatys2016", "--iterations=0", "--bits=16"],
    ],
)
def test_a_result_and_its_proof(tmp_path, capsys, flags):
    path, out = written(tmp_path, PRINTERS["RGB"][0]), tmp_path / "out.png"
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    command = ["stylize", *pictures, "-o", str(out), "--size=32", "--quiet", *flags]
    assert main([*command, f"--proof={path}"]) == 0
    expected = soft_proof(images.load(out), path)
    with Image.open(tmp_path / "out-proof.png") as image:
        assert image.info["icc_profile"] == images.SRGB_ICC
        np.testing.assert_allclose(np.asarray(image) / 255, expected.picture, atol=2 * ONE)
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest["image"] == {"height": 24, "width": 32}
    assert manifest["proof"]["profile"]["path"] == str(path)
    assert manifest["proof"]["outside"] == pytest.approx(expected.outside, abs=0.02)
    share = f"{manifest['proof']['outside']:.1%}"
    line = f"{tmp_path / 'out-proof.png'}: as t prints it; {share} of the pixels are outside"
    assert line in capsys.readouterr().out


def test_a_pillow_without_littlecms_is_one_line():
    program = (
        "import sys; sys.modules['PIL._imagingcms'] = None; from nst_tf.apps.main import main; "
        "sys.exit(main(['stylize', 'a.png', 'b.png']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert "LittleCMS" in done.stderr and done.stderr.count("\n") == 1
