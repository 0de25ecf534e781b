"""From a keyframe's packet to upright, scaled sRGB."""
