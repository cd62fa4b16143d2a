# SPDX-License-Identifier: Apache-2.0
"""check.py TARE: TensorBoard's own reader sees what --tensorboard wrote. Prints TAP."""
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

from tensorboard.backend.event_processing import event_accumulator

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402: it stands in the folder above

NET = 'conv 4x5 sum=0 spectral; bn; relu; conv 8x3 /2 {sum=1} penalty(0.1); relu; gap; dense 6'
STEPS = 40


def train(tare, folder, *more):
    subprocess.run([tare, 'train', 'leaves', '--images', '6', '--patch', '20', '--steps', str(STEPS), '--net', NET, '--batch', '8',
                    '--out', 'model.safetensors', '--quiet', *more], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def read(folder):
    events = event_accumulator.EventAccumulator(str(folder), size_guidance=dict.fromkeys(('scalars', 'histograms', 'images'), 0))
    return events.Reload()


def scalars_are_the_log(tare, folder):
    train(tare, folder, '--tensorboard', 'board/deep', '--log', 'log.jsonl', '--json', 'result.json')
    events, lines = read(folder / 'board/deep'), [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
    assert len(lines) == STEPS
    for tag, key in (('train/loss', 'loss'), ('train/accuracy', 'accuracy'), ('train/learning_rate', 'lr'), ('train/penalty', 'penalty')):
        points = events.Scalars(tag)
        assert [point.step for point in points] == [line['step'] for line in lines], tag
        assert all(math.isclose(point.value, line[key], rel_tol=1e-6, abs_tol=1e-9) for point, line in zip(points, lines)), tag
    result = json.loads((folder / 'result.json').read_text())
    assert math.isclose(events.Scalars('test/accuracy')[0].value, result['accuracy'], rel_tol=1e-6)
    assert events.Scalars('train/images_per_second')


def histograms_hold_every_value(tare, folder):
    events = read(folder / 'board/deep')
    assert {'weights/conv1.weight', 'weights/bn1.running_var', 'coefficients/conv1.weight'} <= set(events.Tags()['histograms'])
    for tag, count in (('weights/conv1.weight', 4 * 25), ('coefficients/conv1.weight', 4 * 24), ('weights/conv2.weight', 8 * 4 * 9)):
        first, last = events.Histograms(tag)[0], events.Histograms(tag)[-1]
        assert (first.step, last.step) == (1, STEPS)
        for point in (first, last):
            h = point.histogram_value
            assert h.num == count == sum(h.bucket), tag
            assert h.min < h.max and h.bucket_limit[-1] == h.max and h.bucket_limit == sorted(h.bucket_limit), tag


def composed_filters_sum_to_zero(tare, folder):
    h = read(folder / 'board/deep').Histograms('weights/conv1.weight')[-1].histogram_value
    rounding = 2**-23 * math.sqrt(h.sum_squares / h.num)  # of one weight, composed in float32
    assert abs(h.sum) < h.num * rounding and h.sum_squares > 1e-3, (h.sum, rounding)


def pictures_are_png(tare, folder):
    images = read(folder / 'board/deep').Images('filters/conv1.weight')
    assert [image.step for image in images] == [1, STEPS]
    png = images[-1].encoded_image_string
    width, height = struct.unpack('>II', png[16:24])
    assert png[:8] == b'\x89PNG\r\n\x1a\n' and (width, height) == (images[-1].width, images[-1].height)
    size = struct.unpack('>I', png[33:37])[0]
    assert len(zlib.decompress(png[41:41 + size])) == height * (width + 1)


def nothing_changes_by_being_watched(tare, folder):
    watched = (folder / 'model.safetensors').read_bytes()
    train(tare, folder)
    assert (folder / 'model.safetensors').read_bytes() == watched


def a_resumed_run_goes_on_beside(tare, folder):
    board = folder / 'resumed'
    train(tare, folder, '--steps', '20', '--checkpoint', 'c', '--tensorboard', board.name)
    train(tare, folder, '--checkpoint', 'c', '--resume', '--tensorboard', board.name)
    assert len(list(board.iterdir())) == 2
    assert [point.step for point in read(board).Scalars('train/loss')] == list(range(1, STEPS + 1))


def a_folder_that_cannot_be_made_is_said(tare, folder):
    (folder / 'file').write_text('')
    result = subprocess.run([tare, 'train', 'leaves', '--out', 'm', '--tensorboard', 'file/board'], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 4 and 'file/board: cannot be written: Not a directory' in result.stderr, result


TESTS = [scalars_are_the_log, histograms_hold_every_value, composed_filters_sum_to_zero, pictures_are_png, nothing_changes_by_being_watched,
         a_resumed_run_goes_on_beside, a_folder_that_cannot_be_made_is_said]


with tempfile.TemporaryDirectory() as name:
    tap.run(TESTS, os.path.abspath(sys.argv[1]), pathlib.Path(name))
