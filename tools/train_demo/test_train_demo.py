"""Facts that training and judging rest on: python -m unittest test_train_demo, in this folder."""

import dataclasses
import random
import unittest

import torch

from captions import caption
from held_out import held_out_captions
from judge import judge
from labels import CLASSES, labelled_scene, scene_labels
from render import render
from scenes import (COLOURS, HELD_OUT_PAIRS, PLACES, RADII, SHAPES, held_out_scene,
                    training_scene)
from sampling import SCHEDULER, sigmas
from text_encoders import T5, Clip
from transformer import Transformer, rotary_table


class SceneTest(unittest.TestCase):
    def test_there_are_ten_colours_and_eight_shapes(self):
        self.assertGreaterEqual(len(COLOURS), 10)
        self.assertGreaterEqual(len(SHAPES), 8)

    def test_training_never_shows_a_held_out_pair(self):
        rng = random.Random(1)
        for _ in range(5000):
            pairs = {thing.pair for thing in training_scene(rng).things}
            self.assertFalse(pairs & HELD_OUT_PAIRS)

    def test_every_held_out_caption_names_a_held_out_pair(self):
        for scene, text in held_out_captions():
            self.assertTrue(any(f"{colour} {shape}" in text for colour, shape in HELD_OUT_PAIRS))
            self.assertTrue(scene.has_held_out_pair)

    def test_labels_hold_all_that_a_caption_says(self):
        rng = random.Random(2)
        for _ in range(500):
            scene = training_scene(rng)
            labels = scene_labels(scene)
            self.assertTrue(all(0 <= label < count for label, count in zip(labels, CLASSES)))
            again = labelled_scene(labels)
            self.assertEqual(caption(random.Random(3), scene), caption(random.Random(3), again))


class JudgeTest(unittest.TestCase):
    def test_reads_rendered_scenes(self):
        rng = random.Random(4)
        scenes = [training_scene(rng) for _ in range(60)]
        self.assertEqual([judge(render(scene, 128)).agrees(scene) for scene in scenes], [True] * 60)

    def test_reads_larger_pictures(self):
        scene = held_out_scene(random.Random(5))
        self.assertTrue(judge(render(scene, 256)).agrees(scene))

    def test_refuses_a_scene_with_one_attribute_changed(self):
        rng = random.Random(6)
        for _ in range(30):
            scene = training_scene(rng, two_objects=0)
            verdict, (thing,) = judge(render(scene, 128)), scene.things
            for field, values in (("shape", SHAPES), ("colour", COLOURS), ("size", RADII),
                                  ("place", PLACES)):
                other = rng.choice([v for v in values if v != getattr(thing, field)])
                wrong = dataclasses.replace(thing, **{field: other})
                self.assertFalse(verdict.agrees(dataclasses.replace(scene, things=(wrong,))))
            other = rng.choice([name for name in COLOURS if name != scene.background])
            self.assertFalse(verdict.agrees(dataclasses.replace(scene, background=other)))

    def test_refuses_an_object_too_many(self):
        rng = random.Random(7)
        scene = training_scene(rng, two_objects=1)
        alone = dataclasses.replace(scene, things=scene.things[:1], relation=None)
        self.assertFalse(judge(render(scene, 128)).agrees(alone))
        self.assertFalse(judge(render(alone, 128)).agrees(scene))


class EqualityTest(unittest.TestCase):
    """The plain modules against the libraries whose parameter names they have."""

    def setUp(self):
        torch.manual_seed(0)
        self.enterContext(torch.no_grad())

    def test_transformer_equals_that_of_diffusers(self):
        from diffusers import FluxTransformer2DModel
        config = dict(patch_size=1, in_channels=64, num_layers=2, num_single_layers=2,
                      attention_head_dim=16, num_attention_heads=3, joint_attention_dim=24,
                      pooled_projection_dim=20, guidance_embeds=False, axes_dims_rope=[4, 6, 6])
        theirs, ours = FluxTransformer2DModel(**config), Transformer(config)
        ours.load_state_dict(theirs.state_dict())
        image, text, pooled, t = (torch.randn(2, 6, 64), torch.randn(2, 5, 24),
                                  torch.randn(2, 20), torch.rand(2))
        ids = torch.tensor([[0., y, x] for y in range(2) for x in range(3)])
        expected = theirs(hidden_states=image, encoder_hidden_states=text, timestep=t,
                          pooled_projections=pooled, img_ids=ids, txt_ids=torch.zeros(5, 3)).sample
        actual = ours(image, text, pooled, t, rotary_table(2, 3, 5, config["axes_dims_rope"]))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)

    def test_text_encoders_equal_those_of_transformers(self):
        from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel
        config = dict(vocab_size=50, d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=4,
                      feed_forward_proj="gated-gelu", dropout_rate=0.0)
        theirs, ours = T5EncoderModel(T5Config(**config)).eval(), T5(config)
        ours.load_state_dict({key: value for key, value in theirs.state_dict().items()
                              if "embed_tokens" not in key})
        ids = torch.randint(0, 50, (2, 40))
        torch.testing.assert_close(ours(ids), theirs(input_ids=ids).last_hidden_state,
                                   rtol=1e-4, atol=1e-4)
        config = dict(vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                      num_attention_heads=4, max_position_embeddings=77, bos_token_id=48,
                      eos_token_id=49, pad_token_id=49, hidden_act="quick_gelu")
        theirs, ours = CLIPTextModel(CLIPTextConfig(**config)).eval(), Clip(config)
        ours.load_state_dict({"text_model." + key.removeprefix("text_model."): value
                              for key, value in theirs.state_dict().items()
                              if "position_ids" not in key})
        ids = torch.randint(0, 48, (2, 77))
        ids[:, 20:] = 49
        torch.testing.assert_close(ours(ids[:, :30]), theirs(input_ids=ids).pooler_output,
                                   rtol=1e-4, atol=1e-4)

    def test_noise_levels_equal_those_of_diffusers(self):
        from diffusers import FlowMatchEulerDiscreteScheduler
        theirs = FlowMatchEulerDiscreteScheduler(**SCHEDULER)
        theirs.set_timesteps(sigmas=[1 - i / 8 for i in range(8)], mu=.5)
        torch.testing.assert_close(torch.tensor(sigmas(8, 64)), theirs.sigmas.double(),
                                   rtol=1e-6, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
